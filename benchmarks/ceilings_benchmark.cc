// The best speeds of this machine: memory reads and multiply-adds.

#include <cstdio>
#include <string>

#include "benchmarks/ceilings.h"
#include "benchmarks/command_line.h"
#include "ops/workers.h"

namespace {

constexpr char kUsage[] =
    "usage: ceilings_benchmark [--threads N] [--simd NAME] [--json]\n\n"
    "Measures how fast all the threads together read memory (1 GiB) and\n"
    "multiply and add float32 and bytes in registers: the best of five runs.\n"
    "  --threads N   default: all the CPUs\n"
    "  --simd NAME   as on a CPU with fewer instructions, see gemma --simd\n"
    "  --json        print a JSON object\n";

}  // namespace

int main(int argc, char** argv) {
  if (gemma::internal::TakeFlag("--help", &argc, argv)) {
    std::fputs(kUsage, stdout);
    return 0;
  }
  const bool json = gemma::internal::TakeFlag("--json", &argc, argv);
  const size_t threads = gemma::internal::TakeThreads(&argc, argv);
  if (threads == 0 || !gemma::internal::TakeSimd(&argc, argv)) return 2;
  if (argc > 1) {
    std::fprintf(stderr, "unknown argument '%s'\n%s", argv[1], kUsage);
    return 2;
  }
  gemma::internal::Workers workers(threads);
  const gemma::internal::Ceilings ceilings =
      gemma::internal::MeasureCeilings(workers);
  const std::string text = json ? gemma::internal::ToJson(ceilings)
                                : gemma::internal::ToText(ceilings);
  std::puts(text.c_str());
  return 0;
}
