#include "benchmarks/command_line.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "ops/targets.h"

namespace gemma::internal {
namespace {

constexpr size_t kMaxThreads = 1024;

void Erase(int begin, int count, int* argc, char** argv) {
  // The null pointer at the end moves, too.
  std::copy(argv + begin + count, argv + *argc + 1, argv + begin);
  *argc -= count;
}

// Takes "OPTION VALUE" or "OPTION=VALUE" out of the arguments and returns the
// value, "" if it is missing, or nothing without the option.
std::optional<std::string> TakeValue(std::string_view option, int* argc,
                                     char** argv) {
  for (int i = 1; i < *argc; ++i) {
    std::string_view argument = argv[i];
    if (!absl::ConsumePrefix(&argument, option)) continue;
    if (absl::ConsumePrefix(&argument, "=")) {
      std::string value(argument);
      Erase(i, 1, argc, argv);
      return value;
    }
    if (!argument.empty()) continue;  // such as --threads_something
    std::string value = i + 1 < *argc ? argv[i + 1] : "";
    Erase(i, i + 1 < *argc ? 2 : 1, argc, argv);
    return value;
  }
  return std::nullopt;
}

size_t ParseThreads(std::string_view text) {
  size_t threads = 0;
  if (!absl::SimpleAtoi(text, &threads) || threads > kMaxThreads) threads = 0;
  if (threads == 0) {
    std::fprintf(stderr, "--threads is '%s', wanted 1 to %zu\n",
                 std::string(text).c_str(), kMaxThreads);
  }
  return threads;
}

}  // namespace

size_t TakeThreads(int* argc, char** argv) {
  const std::optional<std::string> value = TakeValue("--threads", argc, argv);
  if (value.has_value()) return ParseThreads(*value);
  return std::max(1u, std::thread::hardware_concurrency());
}

bool TakeSimd(int* argc, char** argv) {
  const std::optional<std::string> name = TakeValue("--simd", argc, argv);
  if (!name.has_value() || SetSimdCap(*name) == CapResult::kOk) return true;
  std::fprintf(stderr, "--simd is '%s', wanted one of %s\n", name->c_str(),
               absl::StrJoin(PossibleCaps(), ", ").c_str());
  return false;
}

void Fail(const std::string& message) {
  std::fprintf(stderr, "benchmark: %s\n", message.c_str());
  std::exit(1);
}

bool TakeFlag(std::string_view flag, int* argc, char** argv) {
  for (int i = 1; i < *argc; ++i) {
    if (argv[i] != flag) continue;
    Erase(i, 1, argc, argv);
    return true;
  }
  return false;
}

}  // namespace gemma::internal
