// Divides sizes into whole parts.

#ifndef GEMMA_SRC_BASE_DIVIDE_UP_H_
#define GEMMA_SRC_BASE_DIVIDE_UP_H_

#include <cstddef>

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

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BASE_DIVIDE_UP_H_
