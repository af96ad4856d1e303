// Writing keys and values as attention reads them.
#include "hwy/base.h"
#include "ops/ops.h"

namespace gemma {

void StoreCache(std::span<const float> key, std::span<const float> value,
                size_t position, const HeadCache& cache) {
  HWY_DASSERT(key.size() == value.size());
  const size_t head_dim = key.size();
  const size_t slot = position % cache.num_slots;
  const size_t first_value = slot * head_dim;
  const size_t first_key =
      slot / kCacheBlock * kCacheBlock * head_dim + slot % kCacheBlock;
  const auto store = [&](auto* keys, auto* values, auto convert) {
    for (size_t i = 0; i < head_dim; ++i) {
      keys[first_key + i * kCacheBlock] = convert(key[i]);
      values[first_value + i] = convert(value[i]);
    }
  };
  if (cache.type == CacheType::kF32) {
    store(static_cast<float*>(cache.keys), static_cast<float*>(cache.values),
          [](float x) { return x; });
  } else {
    store(static_cast<hwy::bfloat16_t*>(cache.keys),
          static_cast<hwy::bfloat16_t*>(cache.values),
          [](float x) { return hwy::BF16FromF32(x); });
  }
}

}  // namespace gemma
