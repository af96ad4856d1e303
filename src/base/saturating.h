// Sizes whose sums and products do not wrap.

#ifndef GEMMA_SRC_BASE_SATURATING_H_
#define GEMMA_SRC_BASE_SATURATING_H_

#include <algorithm>
#include <cstdint>
#include <initializer_list>

namespace gemma::internal {

// More than any memory holds, and small enough that the sum of a few does not
// wrap.
inline constexpr uint64_t kTooMuch = uint64_t{1} << 62;

// Returns the product, at most kTooMuch.
constexpr uint64_t Product(std::initializer_list<uint64_t> factors) {
  uint64_t product = 1;
  for (const uint64_t factor : factors) {
    if (factor != 0 && product > kTooMuch / factor) {
      product = kTooMuch;
    } else {
      product *= factor;
    }
  }
  return product;
}

// Returns the sum, at most kTooMuch.
constexpr uint64_t Sum(std::initializer_list<uint64_t> terms) {
  uint64_t sum = 0;
  for (const uint64_t term : terms) {
    sum = std::min(sum + std::min(term, kTooMuch), kTooMuch);
  }
  return sum;
}

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BASE_SATURATING_H_
