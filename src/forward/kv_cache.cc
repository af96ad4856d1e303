#include "src/forward/kv_cache.h"

#include <algorithm>

namespace gemma::internal {

uint8_t* KvCache::HeadStart(size_t half, size_t kv_head) const {
  const size_t rows = half == 0 ? 0 : shape_.num_kv_heads * shape_.Slots();
  return memory_.data() + rows * shape_.RowBytes(0) +
         kv_head * shape_.Slots() * shape_.RowBytes(half);
}

void KvCache::Store(size_t position, std::span<const float> keys,
                    std::span<const float> values) {
  const size_t dim = shape_.head_dim;
  for (size_t head = 0; head < shape_.num_kv_heads; ++head) {
    StoreCache(keys.subspan(head * dim, dim), values.subspan(head * dim, dim),
               position, Head(head));
  }
}

void KvCache::ForEachPiece(
    size_t position, absl::FunctionRef<void(std::span<uint8_t>)> use) const {
  // Each block of keys or values is contiguous, wherever the ring begins.
  const size_t first = position - std::min(position, shape_.num_kept);
  for (size_t half = 0; half < 2; ++half) {
    const size_t bytes = kCacheBlock * shape_.RowBytes(half);
    for (size_t head = 0; head < shape_.num_kv_heads; ++head) {
      for (size_t begin = first / kCacheBlock * kCacheBlock; begin < position;
           begin += kCacheBlock) {
        const size_t block = begin % shape_.Slots() / kCacheBlock;
        use({HeadStart(half, head) + block * bytes, bytes});
      }
    }
  }
}

HeadCache KvCache::Head(size_t kv_head) const {
  return {HeadStart(0, kv_head), HeadStart(1, kv_head), shape_.type,
          shape_.Slots(), shape_.num_rotated};
}

}  // namespace gemma::internal
