// Rounds sizes to whole parts, adds and multiplies them without wrapping, and
// reserves room for them.

#ifndef GEMMA_SRC_BASE_SIZES_H_
#define GEMMA_SRC_BASE_SIZES_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

namespace gemma::internal {

// Returns the number of parts of size `part` that hold `size`. The last one may
// be partly used.
constexpr size_t DivideUp(size_t size, size_t part) {
  return (size + part - 1) / part;
}

// Returns `size` rounded up to a multiple of `part`.
constexpr size_t RoundUp(size_t size, size_t part) {
  return DivideUp(size, part) * part;
}

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

// Reserves room for `size` elements. If the vector grows by only a few,
// reserves more, so that many calls take about as long as one.
template <class T>
void GrowTo(size_t size, std::vector<T>& vector) {
  if (size <= vector.capacity()) return;
  vector.reserve(std::max(size, 2 * vector.capacity()));
}

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BASE_SIZES_H_
