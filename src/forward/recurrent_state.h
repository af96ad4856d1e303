// State of one recurrent layer of one sequence. Its size does not depend on the
// length of the sequence.

#ifndef GEMMA_SRC_FORWARD_RECURRENT_STATE_H_
#define GEMMA_SRC_FORWARD_RECURRENT_STATE_H_

#include <cstddef>
#include <span>

#include "ops/aligned_buffer.h"
#include "src/base/sizes.h"

namespace gemma::internal {

// Two rings: the RG-LRU's states after the last positions, and the inputs that
// its convolution still needs. Going back to an earlier position means reading
// another slot.
class RecurrentState {
 public:
  struct Shape {
    size_t lru_width = 0;
    size_t conv_width = 0;    // taps, the current position included
    size_t max_rollback = 0;  // positions

    // One state after the last position, and one after each position that a
    // rollback can reach.
    size_t StateSlots() const { return max_rollback + 1; }
    // The inputs that the convolution needs after any of these positions.
    size_t InputSlots() const { return max_rollback + conv_width; }
    size_t Bytes() const {
      return Product({StateSlots() + InputSlots(), lru_width, sizeof(float)});
    }
  };

  // ok() is false if memory ran out.
  explicit RecurrentState(const Shape& shape)
      : shape_(shape), memory_(AlignedBuffer::Allocate(shape.Bytes())) {}
  bool ok() const { return memory_.data() != nullptr; }

  // The RG-LRU's state after `position`: [lru_width].
  std::span<float> State(size_t position) const {
    return Slot(position % shape_.StateSlots());
  }

  // The convolution's input at `position`: [lru_width].
  std::span<float> Input(size_t position) const {
    return Slot(shape_.StateSlots() + position % shape_.InputSlots());
  }

  // All bytes, for checkpoints.
  std::span<uint8_t> bytes() const { return {memory_.data(), memory_.bytes()}; }

 private:
  std::span<float> Slot(size_t slot) const {
    return {memory_.As<float>() + slot * shape_.lru_width, shape_.lru_width};
  }

  Shape shape_;
  AlignedBuffer memory_;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORWARD_RECURRENT_STATE_H_
