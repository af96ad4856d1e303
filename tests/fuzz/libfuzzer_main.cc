// The entry of libFuzzer into the target that GEMMA_FUZZ_TARGET names.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "tests/fuzz/targets.h"

namespace {

const gemma::internal::FuzzTarget& Target() {
  for (const auto& target : gemma::internal::kFuzzTargets) {
    if (target.name == std::string_view(GEMMA_FUZZ_TARGET)) return target;
  }
  std::fputs("no target " GEMMA_FUZZ_TARGET "\n", stderr);
  std::exit(2);
}

}  // namespace

// To record where memory was allocated takes a seventh of the time, and only
// reports need it: ASAN_OPTIONS=malloc_context_size=30 gives it for an input
// that failed. Freed memory is kept only for a while, because libFuzzer counts
// it.
extern "C" const char* __asan_default_options() {
  return "malloc_context_size=0:quarantine_size_mb=16";
}

// 0: the input may become part of the corpus.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const gemma::internal::FuzzTarget& target = Target();
  target.run({data, size});
  return 0;
}
