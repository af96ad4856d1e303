// Finds the smallest of the indices that threads report.

#ifndef GEMMA_OPS_FIRST_FOUND_H_
#define GEMMA_OPS_FIRST_FOUND_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace gemma::internal {

// Keeps the smallest index that was added. Threads may add indices at the same
// time, in any order.
class FirstFound {
 public:
  void Add(size_t index) {
    size_t first = first_.load(std::memory_order_relaxed);
    while (index < first && !first_.compare_exchange_weak(
                                first, index, std::memory_order_relaxed)) {
    }
  }

  std::optional<size_t> Get() const {
    const size_t first = first_.load(std::memory_order_relaxed);
    if (first == SIZE_MAX) return std::nullopt;
    return first;
  }

 private:
  std::atomic<size_t> first_{SIZE_MAX};  // SIZE_MAX: empty
};

}  // namespace gemma::internal

#endif  // GEMMA_OPS_FIRST_FOUND_H_
