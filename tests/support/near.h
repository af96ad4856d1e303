// Compares vectors of floats.

#ifndef GEMMA_TESTS_SUPPORT_NEAR_H_
#define GEMMA_TESTS_SUPPORT_NEAR_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace gemma::internal {

// Returns `size` values in [-1, 1), the same for the same seed.
inline std::vector<float> RandomVector(size_t size, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<float> out(size);
  for (float& value : out) {
    value = static_cast<float>(
        std::ldexp(static_cast<double>(random() >> 11), -52) - 1.0);
  }
  return out;
}

// Returns the largest |actual - expected| over max(1, largest |expected|), or
// infinity if sizes differ or a value is NaN.
template <class A, class E>
double RelativeError(const A& actual, const E& expected) {
  if (actual.size() != expected.size()) return INFINITY;
  double error = 0;
  double largest = 1;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double difference =
        std::abs(static_cast<double>(actual[i]) - expected[i]);
    if (std::isnan(difference)) return INFINITY;
    error = std::max(error, difference);
    largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
  }
  return error / largest;
}

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SUPPORT_NEAR_H_
