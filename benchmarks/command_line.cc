#include "benchmarks/command_line.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"

namespace gemma::internal {
namespace {

constexpr size_t kMaxThreads = 1024;

void Erase(int begin, int count, int* argc, char** argv) {
  // The null pointer at the end moves, too.
  std::copy(argv + begin + count, argv + *argc + 1, argv + begin);
  *argc -= count;
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
  for (int i = 1; i < *argc; ++i) {
    std::string_view argument = argv[i];
    if (!absl::ConsumePrefix(&argument, "--threads")) continue;
    if (absl::ConsumePrefix(&argument, "=")) {
      Erase(i, 1, argc, argv);
      return ParseThreads(argument);
    }
    if (!argument.empty()) continue;  // such as --threads_something
    const std::string_view value = i + 1 < *argc ? argv[i + 1] : "";
    Erase(i, i + 1 < *argc ? 2 : 1, argc, argv);
    return ParseThreads(value);
  }
  return std::max(1u, std::thread::hardware_concurrency());
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
