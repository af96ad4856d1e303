// Memory for weights, caches and activations.

#ifndef GEMMA_OPS_ALIGNED_BUFFER_H_
#define GEMMA_OPS_ALIGNED_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <utility>

namespace gemma::internal {

// Zeroed bytes, aligned to 64. The system gives a large buffer physical memory
// only where it is touched.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  // A buffer that was moved from is empty.
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : memory_(std::move(other.memory_)),
        data_(std::exchange(other.data_, nullptr)),
        bytes_(std::exchange(other.bytes_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    memory_ = std::move(other.memory_);
    data_ = std::exchange(other.data_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
    return *this;
  }

  // Returns a buffer whose data() is null if memory runs out.
  static AlignedBuffer Allocate(size_t bytes);

  // As Allocate, for a buffer that will be touched as a whole. Uses large pages
  // where the system has them, which causes far fewer page faults.
  static AlignedBuffer AllocateWhole(size_t bytes);

  uint8_t* data() const { return data_; }
  size_t bytes() const { return bytes_; }

  template <class T>
  T* As() const {
    return reinterpret_cast<T*>(data_);
  }

 private:
  static constexpr size_t kAlignment = 64;
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };

  std::unique_ptr<void, Free> memory_;
  uint8_t* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace gemma::internal

#endif  // GEMMA_OPS_ALIGNED_BUFFER_H_
