// Writes keys and values in the layout that attention reads.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "hwy/base.h"
#include "ops/ops.h"

namespace gemma::internal {
namespace {

template <class T, class Convert>
void Store(std::span<const float> key, std::span<const float> value,
           size_t slot, const HeadCache& cache, Convert convert) {
  T* keys = static_cast<T*>(cache.keys) +
            slot / kCacheBlock * kCacheBlock * key.size() + slot % kCacheBlock;
  T* values = static_cast<T*>(cache.values) + slot * value.size();
  for (size_t i = 0; i < key.size(); ++i) {
    keys[i * kCacheBlock] = convert(key[i]);
  }
  for (size_t i = 0; i < value.size(); ++i) values[i] = convert(value[i]);
}

// Rounds a group and writes its codes, `stride` bytes apart. Fills a short
// group with zeros.
void StoreGroup(std::span<const float> from, size_t stride, uint8_t* codes,
                uint8_t* scale_out) {
  float largest = 0.0f;
  for (const float x : from) {
    const float magnitude = std::abs(x);
    // A NaN makes the whole group NaN.
    if (magnitude > largest || std::isnan(magnitude)) largest = magnitude;
    if (std::isnan(largest)) break;
  }
  const hwy::bfloat16_t rounded = hwy::BF16FromF32(largest / 127.0f);
  const float scale = hwy::F32FromBF16(rounded);
  std::memcpy(scale_out, &rounded, sizeof(rounded));
  for (size_t i = 0; i < kCacheGroup; ++i) {
    const float code = i < from.size() ? std::round(from[i] / scale) : 0.0f;
    // A NaN, such as 0 / 0, becomes 0.
    const float limited = code >= -127.0f ? std::min(code, 127.0f)
                          : code < 0.0f   ? -127.0f
                                          : 0.0f;
    codes[i * stride] = static_cast<uint8_t>(static_cast<int8_t>(limited));
  }
}

void StoreI8(std::span<const float> key, std::span<const float> value,
             size_t slot, const HeadCache& cache) {
  const size_t in_block = slot % kCacheBlock;
  uint8_t* keys = static_cast<uint8_t*>(cache.keys) +
                  (slot - in_block) * CacheRowBytes(CacheType::kI8, key.size());
  for (size_t i = 0; i < key.size(); i += kCacheGroup) {
    StoreGroup(key.subspan(i, std::min(kCacheGroup, key.size() - i)),
               kCacheBlock, keys + in_block,
               keys + kCacheGroup * kCacheBlock + 2 * in_block);
    keys += (kCacheGroup + 2) * kCacheBlock;
  }
  uint8_t* values = static_cast<uint8_t*>(cache.values) +
                    slot * CacheRowBytes(CacheType::kI8, value.size());
  for (size_t i = 0; i < value.size(); i += kCacheGroup) {
    StoreGroup(value.subspan(i, std::min(kCacheGroup, value.size() - i)), 1,
               values, values + kCacheGroup);
    values += kCacheGroup + 2;
  }
}

}  // namespace

void StoreCache(std::span<const float> key, std::span<const float> value,
                size_t position, const HeadCache& cache) {
  HWY_DASSERT(key.size() == value.size());
  const size_t slot = position % cache.num_slots;
  std::array<float, 2 * kMaxRotated> rotated;
  if (const size_t n = cache.num_rotated; n != 0) {
    std::copy_n(key.begin(), n, rotated.begin());
    std::copy_n(key.begin() + key.size() / 2, n, rotated.begin() + n);
    key = std::span(rotated).first(2 * n);
  }
  switch (cache.type) {
    case CacheType::kF32:
      return Store<float>(key, value, slot, cache, [](float x) { return x; });
    case CacheType::kBF16:
      return Store<hwy::bfloat16_t>(
          key, value, slot, cache, [](float x) { return hwy::BF16FromF32(x); });
    case CacheType::kI8:
      return StoreI8(key, value, slot, cache);
  }
}

}  // namespace gemma::internal
