#include "ops/aligned_buffer.h"

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace gemma::internal {
namespace {

// Rounds `address` up to a multiple of `size`, a power of two.
uintptr_t RoundUp(uintptr_t address, size_t size) {
  return (address + size - 1) & ~(size - 1);
}

}  // namespace

AlignedBuffer AlignedBuffer::Allocate(size_t bytes) {
  AlignedBuffer buffer;
  if (bytes > SIZE_MAX - kAlignment) return buffer;
  buffer.memory_.reset(std::calloc(bytes + kAlignment, 1));
  if (buffer.memory_ == nullptr) return buffer;
  const auto address = reinterpret_cast<uintptr_t>(buffer.memory_.get());
  buffer.data_ = static_cast<uint8_t*>(buffer.memory_.get()) +
                 (RoundUp(address, kAlignment) - address);
  buffer.bytes_ = bytes;
  return buffer;
}

AlignedBuffer AlignedBuffer::AllocateWhole(size_t bytes) {
  AlignedBuffer buffer = Allocate(bytes);
#ifdef __linux__
  // Asks for large pages for the whole ones inside. If the buffer holds none,
  // or the system refuses, only speed is lost.
  constexpr size_t kLargePage = size_t{1} << 21;
  const auto address = reinterpret_cast<uintptr_t>(buffer.data_);
  const uintptr_t begin = RoundUp(address, kLargePage);
  const uintptr_t end = (address + buffer.bytes_) & ~(kLargePage - 1);
  if (begin < end) {
    madvise(buffer.data_ + (begin - address), end - begin, MADV_HUGEPAGE);
  }
#endif
  return buffer;
}

}  // namespace gemma::internal
