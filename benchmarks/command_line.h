// The options of benchmarks besides Google Benchmark's, and their errors.

#ifndef GEMMA_BENCHMARKS_COMMAND_LINE_H_
#define GEMMA_BENCHMARKS_COMMAND_LINE_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace gemma::internal {

// Takes "--threads N" or "--threads=N" out of the arguments and returns N, or
// the number of CPUs without the option. If N is not a valid number of threads,
// prints a message and returns 0.
size_t TakeThreads(int* argc, char** argv);

// Takes "--simd NAME" or "--simd=NAME" out of the arguments and caps what the
// process uses, as `gemma --simd` does. Call it before anything computes. If
// this CPU or this build lacks the name, prints a message and returns false.
bool TakeSimd(int* argc, char** argv);

// Prints a message and ends the process with exit code 1.
[[noreturn]] void Fail(const std::string& message);

// Takes a flag such as "--json" out of the arguments. Returns whether it was
// there.
bool TakeFlag(std::string_view flag, int* argc, char** argv);

}  // namespace gemma::internal

#endif  // GEMMA_BENCHMARKS_COMMAND_LINE_H_
