// The options that benchmarks have besides Google Benchmark's, and their end.

#ifndef GEMMA_BENCHMARKS_COMMAND_LINE_H_
#define GEMMA_BENCHMARKS_COMMAND_LINE_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace gemma {

// Takes "--threads N" or "--threads=N" out of the arguments. Returns N; without
// the option the number of CPUs; after a message 0 if N is no number of
// threads.
size_t TakeThreads(int* argc, char** argv);

// Ends the process with exit code 1 after a message.
[[noreturn]] void Fail(const std::string& message);

// Takes a flag such as "--json" out; returns whether it was there.
bool TakeFlag(std::string_view flag, int* argc, char** argv);

}  // namespace gemma

#endif  // GEMMA_BENCHMARKS_COMMAND_LINE_H_
