// Reads cached keys and values.

// Per-target include guard.
#if defined(GEMMA_OPS_ATTEND_CACHE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef GEMMA_OPS_ATTEND_CACHE_INL_H_
#undef GEMMA_OPS_ATTEND_CACHE_INL_H_
#else
#define GEMMA_OPS_ATTEND_CACHE_INL_H_
#endif

#include <cstddef>

#include "hwy/highway.h"
#include "ops/attend_task.h"

HWY_BEFORE_NAMESPACE();
namespace gemma::internal {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// At most as many lanes as a block has keys, so that a vector never spans two
// values of a key.
using DF = hn::CappedTag<float, kCacheBlock>;
using VF = hn::Vec<DF>;
inline constexpr size_t kLanes = HWY_MAX_LANES_D(DF);

HWY_INLINE VF LoadCache(const float* from) { return hn::LoadU(DF(), from); }
HWY_INLINE VF LoadCache(const hwy::bfloat16_t* from) {
  const hn::Rebind<hwy::bfloat16_t, DF> d16;
  return hn::PromoteTo(DF(), hn::LoadU(d16, from));
}
// Loads the first `count` values, then zeros.
HWY_INLINE VF LoadCacheN(const float* from, size_t count) {
  return hn::LoadN(DF(), from, count);
}
HWY_INLINE VF LoadCacheN(const hwy::bfloat16_t* from, size_t count) {
  const hn::Rebind<hwy::bfloat16_t, DF> d16;
  return hn::PromoteTo(DF(), hn::LoadN(d16, from, count));
}

// Loads a vector of a position's values from `at` on. Values beyond head_dim
// are arbitrary.
template <class T>
HWY_INLINE VF LoadValues(const T* HWY_RESTRICT values, size_t at,
                         size_t head_dim) {
  return at + kLanes <= head_dim ? LoadCache(values + at)
                                 : LoadCacheN(values + at, head_dim - at);
}
HWY_INLINE VF LoadCodes(const CacheByte* HWY_RESTRICT codes) {
  const hn::Rebind<int8_t, DF> d8;
  const hn::RebindToSigned<DF> d32;
  const auto bytes = hn::LoadU(d8, reinterpret_cast<const int8_t*>(codes));
  return hn::ConvertTo(DF(), hn::PromoteTo(d32, bytes));
}
HWY_INLINE VF LoadValues(const CacheByte* HWY_RESTRICT values, size_t at,
                         size_t) {
  const CacheByte* group = values + at / kCacheGroup * (kCacheGroup + 2);
  hwy::bfloat16_t scale;
  hwy::CopyBytes<sizeof(scale)>(group + kCacheGroup, &scale);
  return hn::Mul(LoadCodes(group + at % kCacheGroup),
                 hn::Set(DF(), hwy::F32FromBF16(scale)));
}

// Decodes whole blocks of keys to out [blocks, head_dim, kCacheBlock].
template <class T>
HWY_INLINE void DecodeKeys(const T* HWY_RESTRICT keys, size_t num_keys,
                           size_t head_dim, float* HWY_RESTRICT out) {
  for (size_t i = 0; i < num_keys * head_dim; i += kLanes) {
    hn::StoreU(LoadCache(keys + i), DF(), out + i);
  }
}
HWY_INLINE void DecodeKeys(const CacheByte* HWY_RESTRICT keys, size_t num_keys,
                           size_t head_dim, float* HWY_RESTRICT out) {
  for (size_t key = 0; key < num_keys; key += kCacheBlock) {
    for (size_t d = 0; d < head_dim; d += kCacheGroup) {
      const auto* scales = reinterpret_cast<const hwy::bfloat16_t*>(
          keys + kCacheGroup * kCacheBlock);
      const size_t count = HWY_MIN(kCacheGroup, head_dim - d) * kCacheBlock;
      for (size_t v = 0; v < kCacheBlock; v += kLanes) {
        const VF scale = LoadCache(scales + v);
        for (size_t i = v; i < count; i += kCacheBlock) {
          hn::StoreU(hn::Mul(LoadCodes(keys + i), scale), DF(), out + i);
        }
      }
      keys += (kCacheGroup + 2) * kCacheBlock;
      out += count;
    }
  }
}

// Writes the values of the positions of a block, times weights, to
// out[d * kCacheBlock + position]. Transposes 4 by 4.
template <class T>
HWY_INLINE void TransposeValues(const T* HWY_RESTRICT values, size_t head_dim,
                                const float* HWY_RESTRICT weight, size_t begin,
                                float* HWY_RESTRICT out) {
  const hn::FixedTag<float, 4> d4;
  HWY_ALIGN float rows[kCacheBlock * kLanes];
  const VF w = LoadValues(weight, begin, head_dim);
  for (size_t i = 0; i < kCacheBlock; ++i) {
    const VF v =
        LoadValues(values + i * CacheRow<T>(head_dim), begin, head_dim);
    hn::Store(hn::Mul(v, w), DF(), rows + i * kLanes);
  }
  const size_t count = HWY_MIN(kLanes, head_dim - begin);
  for (size_t d = 0; d < count; d += 4) {
    for (size_t i = 0; i < kCacheBlock; i += 4) {
      const float* from = rows + i * kLanes + d;
      const auto r0 = hn::Load(d4, from);
      const auto r1 = hn::Load(d4, from + kLanes);
      const auto r2 = hn::Load(d4, from + 2 * kLanes);
      const auto r3 = hn::Load(d4, from + 3 * kLanes);
      const auto low02 = hn::InterleaveLower(d4, r0, r2);
      const auto low13 = hn::InterleaveLower(d4, r1, r3);
      const auto high02 = hn::InterleaveUpper(d4, r0, r2);
      const auto high13 = hn::InterleaveUpper(d4, r1, r3);
      float* to = out + (begin + d) * kCacheBlock + i;
      hn::StoreU(hn::InterleaveLower(d4, low02, low13), d4, to);
      if (d + 1 >= count) continue;
      hn::StoreU(hn::InterleaveUpper(d4, low02, low13), d4, to + kCacheBlock);
      if (d + 2 >= count) continue;
      hn::StoreU(hn::InterleaveLower(d4, high02, high13), d4,
                 to + 2 * kCacheBlock);
      if (d + 3 >= count) continue;
      hn::StoreU(hn::InterleaveUpper(d4, high02, high13), d4,
                 to + 3 * kCacheBlock);
    }
  }
}

// Decodes whole blocks of keys, of which the cache holds only the rotated
// pairs, as DecodeKeys does. `scratch` has room for these pairs of a block.
template <class T>
HWY_INLINE void DecodeSplitKeys(const AttendJob& job,
                                const T* HWY_RESTRICT keys,
                                const T* HWY_RESTRICT values, size_t num_keys,
                                float* HWY_RESTRICT scratch,
                                float* HWY_RESTRICT out) {
  const size_t head_dim = job.head_dim;
  const size_t half = head_dim / 2;
  const size_t n = job.cache.num_rotated;
  for (size_t key = 0; key < num_keys; key += kCacheBlock) {
    for (size_t d = 0; d < head_dim; d += kLanes) {
      const size_t end = HWY_MIN(d + kLanes, head_dim);
      if (end <= n || (d >= half && end <= half + n)) continue;
      TransposeValues(values, head_dim, job.key_weight.data(), d, out);
    }
    DecodeKeys(keys, kCacheBlock, 2 * n, scratch);
    hwy::CopyBytes(scratch, out, n * kCacheBlock * sizeof(float));
    hwy::CopyBytes(scratch + n * kCacheBlock, out + half * kCacheBlock,
                   n * kCacheBlock * sizeof(float));
    keys += kCacheBlock * CacheRow<T>(2 * n);
    values += kCacheBlock * CacheRow<T>(head_dim);
    out += kCacheBlock * head_dim;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace gemma::internal
HWY_AFTER_NAMESPACE();

#endif  // GEMMA_OPS_ATTEND_CACHE_INL_H_
