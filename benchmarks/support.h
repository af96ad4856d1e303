// Threads, ceilings, checks and results for the benchmarks of operations.

#ifndef GEMMA_BENCHMARKS_SUPPORT_H_
#define GEMMA_BENCHMARKS_SUPPORT_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "benchmark/benchmark.h"
#include "benchmarks/ceilings.h"
#include "ops/workers.h"

namespace gemma::internal {

// Runs the benchmarks that `add_benchmarks` registers, with the options of
// Google Benchmark and --threads. Measures the machine's ceilings first and
// prints them. Returns the exit code, which is 1 if an operation gave a wrong
// result.
int RunBenchmarks(int argc, char** argv, void (*add_benchmarks)());

// May be called only while RunBenchmarks runs.
Workers& BenchmarkWorkers();
const Ceilings& BenchmarkCeilings();

// Returns more bytes than caches hold: for weights and keys, which decoding
// reads from memory.
size_t BytesBeyondCaches();

// Returns `size` values in [-1, 1), the same for the same seed.
std::vector<float> RandomVector(size_t size, uint64_t seed);

// Returns whether each of `actual` is within `tolerance[i]` of `expected[i]`.
// If not, the benchmark ends with an error.
bool CheckNear(benchmark::State& state, std::span<const float> actual,
               std::span<const double> expected,
               std::span<const double> tolerance);

// As above, with a tolerance of `relative` times the largest expected
// magnitude.
bool CheckNear(benchmark::State& state, std::span<const float> actual,
               std::span<const double> expected, double relative);

// Calls body(i) for each iteration i. Returns the average seconds of an
// iteration.
template <class Body>
double Time(benchmark::State& state, Body body) {
  size_t i = 0;
  const auto start = std::chrono::steady_clock::now();
  for (auto _ : state) {
    body(i++);
    benchmark::ClobberMemory();
  }
  const std::chrono::duration<double> took =
      std::chrono::steady_clock::now() - start;
  return took.count() / static_cast<double>(i);
}

// The work of one iteration. A value of 0 is not reported.
struct Work {
  double bytes = 0;      // of weights, keys or vectors, each counted once
  double flops = 0;      // a multiply-add is two
  double byte_macs = 0;  // multiply-adds of codes and int8 activations
};

// Reports GB/s and GFLOP/s and shares of the ceilings in percent. A share
// of reading above 100 means that caches held the bytes.
void Report(benchmark::State& state, double seconds, const Work& work);

}  // namespace gemma::internal

#endif  // GEMMA_BENCHMARKS_SUPPORT_H_
