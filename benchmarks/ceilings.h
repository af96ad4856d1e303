// The best speeds of this machine, to compare the speed of operations with.

#ifndef GEMMA_BENCHMARKS_CEILINGS_H_
#define GEMMA_BENCHMARKS_CEILINGS_H_

#include <cstddef>
#include <string>

#include "ops/workers.h"

namespace gemma::internal {

// The best of five runs with all the threads of one Workers.
struct Ceilings {
  size_t threads = 0;
  std::string simd_target;           // Highway's name, for example "AVX3_SPR"
  size_t read_bytes = 0;             // read per run, far more than caches hold
  double read_bytes_per_second = 0;  // of memory
  double fma_flops_per_second = 0;   // float32; one multiply-add is two
  // Multiply-adds of the instruction that sums four products of bytes; 0 if the
  // CPU has none.
  double byte_macs_per_second = 0;
};

// Takes about three seconds and `read_bytes` of memory.
Ceilings MeasureCeilings(Workers& workers, size_t read_bytes = size_t{1} << 30);

// Returns the ceilings for people, on one line.
std::string ToText(const Ceilings& ceilings);

// Returns a JSON object with the names of the fields.
std::string ToJson(const Ceilings& ceilings);

}  // namespace gemma::internal

#endif  // GEMMA_BENCHMARKS_CEILINGS_H_
