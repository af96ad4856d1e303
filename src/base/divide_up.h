// Whole parts of a size.

#ifndef GEMMA_SRC_BASE_DIVIDE_UP_H_
#define GEMMA_SRC_BASE_DIVIDE_UP_H_

#include <cstddef>

namespace gemma::internal {

// Parts of `part` that hold `size`, the last of them perhaps in part.
constexpr size_t DivideUp(size_t size, size_t part) {
  return (size + part - 1) / part;
}

// The least multiple of `part` that is not below `size`.
constexpr size_t RoundUp(size_t size, size_t part) {
  return DivideUp(size, part) * part;
}

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BASE_DIVIDE_UP_H_
