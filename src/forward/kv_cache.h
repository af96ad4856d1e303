// Keys and values of one attention layer of one sequence.

#ifndef GEMMA_SRC_FORWARD_KV_CACHE_H_
#define GEMMA_SRC_FORWARD_KV_CACHE_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/functional/function_ref.h"
#include "ops/aligned_buffer.h"
#include "ops/ops.h"
#include "src/base/sizes.h"

namespace gemma::internal {

// A ring of slots. Store overwrites the slot of the oldest position, which the
// cache then has forgotten; if every position has a slot, it forgets nothing.
class KvCache {
 public:
  struct Shape {
    size_t num_slots = 0;  // minimum; see Slots()
    size_t num_kept = 0;   // positions before the next one that are needed
    size_t num_kv_heads = 0;
    size_t head_dim = 0;
    CacheType type = CacheType::kF32;
    size_t num_rotated = 0;  // see HeadCache

    // num_slots, rounded up to whole tiles.
    size_t Slots() const { return RoundUp(num_slots, kCacheTile); }
    // Bytes of a position's key (half 0) or value (half 1) of one head.
    size_t RowBytes(size_t half) const {
      return CacheRowBytes(
          type, half == 0 ? KeyDim(head_dim, num_rotated) : head_dim);
    }
    // Bytes of keys and values together.
    size_t Bytes() const {
      return Product({Slots(), num_kv_heads, RowBytes(0) + RowBytes(1)});
    }
  };

  // ok() is false if memory ran out.
  explicit KvCache(const Shape& shape)
      : shape_(shape), memory_(AlignedBuffer::Allocate(shape.Bytes())) {}
  bool ok() const { return memory_.data() != nullptr; }

  // Writes a position's keys and values, each [num_kv_heads, head_dim].
  void Store(size_t position, std::span<const float> keys,
             std::span<const float> values);

  HeadCache Head(size_t kv_head) const;

  // Calls `use` with all bytes that are needed when `position` comes next,
  // piece by piece. The sizes and the order of the pieces do not depend on the
  // number of slots, so they are the same in a larger ring with the same
  // positions.
  void ForEachPiece(size_t position,
                    absl::FunctionRef<void(std::span<uint8_t>)> use) const;

  // All bytes, for checkpoints.
  std::span<uint8_t> bytes() const { return {memory_.data(), memory_.bytes()}; }

 private:
  // Start of one head's keys (half 0) or values (half 1).
  uint8_t* HeadStart(size_t half, size_t kv_head) const;

  Shape shape_;
  AlignedBuffer memory_;  // keys, then values: [num_kv_heads, Slots(), row]
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORWARD_KV_CACHE_H_
