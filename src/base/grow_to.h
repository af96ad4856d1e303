// Reserves room in vectors.

#ifndef GEMMA_SRC_BASE_GROW_TO_H_
#define GEMMA_SRC_BASE_GROW_TO_H_

#include <algorithm>
#include <cstddef>
#include <vector>

namespace gemma::internal {

// Reserves room for `size` elements. If the vector grows by only a few,
// reserves more, so that many calls take about as long as one.
template <class T>
void GrowTo(size_t size, std::vector<T>& vector) {
  if (size <= vector.capacity()) return;
  vector.reserve(std::max(size, 2 * vector.capacity()));
}

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BASE_GROW_TO_H_
