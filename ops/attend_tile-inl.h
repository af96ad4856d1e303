// The computations of attention on one tile of positions: register tiles of
// scores, then the weights, then register tiles of weighted values.

// Per-target include guard.
#if defined(GEMMA_OPS_ATTEND_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef GEMMA_OPS_ATTEND_TILE_INL_H_
#undef GEMMA_OPS_ATTEND_TILE_INL_H_
#else
#define GEMMA_OPS_ATTEND_TILE_INL_H_
#endif

#include <cstddef>
#include <type_traits>

#include "hwy/cache_control.h"
#include "hwy/contrib/math/math-inl.h"
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
inline constexpr size_t kTileVectors = kCacheTile / kLanes;

// The sums of a register tile: enough to hide the latency of a multiply-add,
// and few enough to leave registers for the operands.
#if HWY_ARCH_ARM_A64 || HWY_MAX_BYTES >= 64
inline constexpr size_t kSums = 16;
#else
inline constexpr size_t kSums = 8;
#endif
// The vectors and queries of the largest register tile. On AVX2, where tiles of
// kSums just hide the latency, it has half as many sums again.
inline constexpr size_t kWideVectors = 2;
inline constexpr size_t kMaxTileQueries =
    HWY_TARGET == HWY_AVX2 ? 6 : kSums / kWideVectors;
// The vectors of a tile, if there are that many.
template <size_t kQueries>
inline constexpr size_t kVectorsFor = HWY_MAX(kWideVectors, kSums / kQueries);
// From this many queries on, decoding into buffers pays.
inline constexpr size_t kManyQueries = 16;
inline constexpr size_t kDecodedKeys =
    HWY_MAX(kCacheBlock, kWideVectors* kLanes);
static_assert(kDecodedKeys <= kMaxDecodedKeys &&
              kWideVectors * kLanes <= kMaxDecodedValues);

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

template <size_t kSize>
using Constant = std::integral_constant<size_t, kSize>;

// Divides queries [0, count) into register tiles and calls body(size, first)
// for each. The size is a Constant.
template <class Body>
HWY_INLINE void ForQueryTiles(size_t count, Body body) {
  size_t i = 0;
  for (; i + kMaxTileQueries <= count; i += kMaxTileQueries) {
    body(Constant<kMaxTileQueries>(), i);
  }
  if constexpr (kMaxTileQueries > 4) {
    if (i + 4 <= count) {
      body(Constant<4>(), i);
      i += 4;
    }
  }
  if (i + 2 <= count) {
    body(Constant<2>(), i);
    i += 2;
  }
  if (i < count) body(Constant<1>(), i);
}

// Divides `count` vectors into pieces of kLargest, 2 or 1 and calls
// body(size, first) for each.
template <size_t kLargest, class Body>
HWY_INLINE void ForVectors(size_t count, Body body) {
  size_t v = 0;
  for (; v + kLargest <= count; v += kLargest) body(Constant<kLargest>(), v);
  if constexpr (kLargest > 2) {
    for (; v + 2 <= count; v += 2) body(Constant<2>(), v);
  }
  for (; v < count; ++v) body(Constant<1>(), v);
}

// Fetches memory that is needed soon while the CPU computes something else:
// each step of a register tile fetches some bytes more.
struct Ahead {
  // Fetches `bytes` from `from` on, in about `steps` steps.
  Ahead(const void* from, size_t bytes, size_t steps)
      : at(static_cast<const uint8_t*>(from)),
        step((bytes + steps - 1) / steps) {}
  HWY_INLINE void Step() {
    for (size_t i = 0; i < step; i += 64) hwy::Prefetch(at + i);
    at += step;
  }
  const uint8_t* HWY_RESTRICT at;
  size_t step;
};

// Returns the offset of vector v of a value of the keys from vector 0.
HWY_INLINE size_t KeyOffset(size_t v, size_t head_dim) {
  return v * kLanes / kCacheBlock * kCacheBlock * head_dim +
         v * kLanes % kCacheBlock;
}

// Computes the scores of one register tile. q: [head_dim, kQueries]; scores:
// [kQueries, kVectors * kLanes], in rows of kCacheTile.
template <size_t kQueries, size_t kVectors, class T>
HWY_INLINE void ScoreTile(const float* HWY_RESTRICT q,
                          const T* HWY_RESTRICT keys, size_t head_dim,
                          Ahead& ahead, float* HWY_RESTRICT scores) {
  const DF df;
  VF sums[kQueries * kVectors];
  for (VF& sum : sums) sum = hn::Zero(df);
  const T* from[kVectors];
  for (size_t v = 0; v < kVectors; ++v) from[v] = keys + KeyOffset(v, head_dim);
  for (size_t d = 0; d < head_dim; ++d) {
    ahead.Step();
    VF k[kVectors];
    for (size_t v = 0; v < kVectors; ++v) {
      k[v] = LoadCache(from[v] + d * kCacheBlock);
    }
    for (size_t i = 0; i < kQueries; ++i) {
      const VF qs = hn::Set(df, q[d * kQueries + i]);
      for (size_t v = 0; v < kVectors; ++v) {
        VF& sum = sums[i * kVectors + v];
        sum = hn::MulAdd(qs, k[v], sum);
      }
    }
  }
  for (size_t i = 0; i < kQueries; ++i) {
    for (size_t v = 0; v < kVectors; ++v) {
      hn::StoreU(sums[i * kVectors + v], df,
                 scores + i * kCacheTile + v * kLanes);
    }
  }
}

// Positions [begin, end) of a tile, counted from its first.
struct TileRange {
  size_t begin, end;
};

// Returns cap * tanh(s / cap). Approximates tanh by the odd rational function
// of degrees 9 and 8 with the least relative error up to 9 (2e-8), found by
// Lawson's iteration; beyond 9, tanh is 1 in float32. With rounding the error
// is at most 3e-7, like hn::Tanh, at a third of the cost. A score that is not
// finite becomes NaN.
HWY_INLINE VF SoftCapped(float cap, VF s) {
  const DF df;
  const auto set = [df](float x) HWY_ATTR { return hn::Set(df, x); };
  const VF x = hn::Clamp(hn::Mul(s, set(1.0f / cap)), set(-9.0f), set(9.0f));
  const VF z = hn::Mul(x, x);
  VF above = hn::MulAdd(set(1.33532074e-8f), z, set(2.06080494e-5f));
  above = hn::MulAdd(above, z, set(3.49552697e-3f));
  above = hn::MulAdd(above, z, set(0.133809745f));
  above = hn::MulAdd(above, z, set(1.0f));
  VF below = hn::MulAdd(set(7.77596654e-7f), z, set(3.28553346e-4f));
  below = hn::MulAdd(below, z, set(2.58767512e-2f));
  below = hn::MulAdd(below, z, set(0.46714291f));
  below = hn::MulAdd(below, z, set(1.0f));
  const VF capped = hn::Div(hn::Mul(hn::Mul(set(cap), x), above), below);
  return hn::MulAdd(s, hn::Zero(df), capped);
}

// Replaces the scores of one query in `range` by weights, exp(score - largest),
// and updates `largest` and `sum`, which becomes NaN if a score is not finite.
// Returns the factor for the sums of earlier tiles.
HWY_INLINE float Weigh(float soft_cap, TileRange range,
                       float* HWY_RESTRICT scores, float& largest, float& sum) {
  const DF df;
  const VF lowest = hn::Set(df, hwy::LowestValue<float>());
  const size_t begin = range.begin / kLanes * kLanes;
  VF tile_largest = lowest;
  // NaN if a score is not finite, else 0. Max and Exp may drop a NaN.
  VF poison = hn::Zero(df);
  for (size_t i = begin; i < range.end; i += kLanes) {
    VF s = hn::LoadU(df, scores + i);
    if (soft_cap > 0.0f) s = SoftCapped(soft_cap, s);
    if (i < range.begin) {
      s = hn::IfThenElse(hn::FirstN(df, range.begin - i), lowest, s);
    }
    if (i + kLanes > range.end) {
      s = hn::IfThenElse(hn::FirstN(df, range.end - i), s, lowest);
    }
    tile_largest = hn::Max(tile_largest, s);
    poison = hn::MulAdd(s, hn::Zero(df), poison);
    hn::StoreU(s, df, scores + i);
  }
  float rescale = 1.0f;
  const float before = largest;
  largest = HWY_MAX(before, hn::ReduceMax(df, tile_largest));
  const VF max = hn::Set(df, largest);
  if (largest != before) {
    rescale = hn::GetLane(hn::Exp(df, hn::Sub(hn::Set(df, before), max)));
  }
  VF weights = hn::Zero(df);
  for (size_t i = begin; i < range.end; i += kLanes) {
    // Positions outside the range get weight 0.
    const VF w = hn::Exp(df, hn::Sub(hn::LoadU(df, scores + i), max));
    weights = hn::Add(weights, w);
    hn::StoreU(w, df, scores + i);
  }
  sum = sum * rescale + hn::ReduceSum(df, hn::Add(weights, poison));
  return rescale;
}

// Computes sums = sums * rescale + weights * values for one register tile,
// whose vectors are vector_stride apart and whose positions are key_stride
// apart. kTail: the tile has one vector, of which `count` values exist.
template <size_t kQueries, size_t kVectors, bool kTail, class T>
HWY_INLINE void ValueTile(const float* HWY_RESTRICT weights,
                          const float* HWY_RESTRICT rescale, size_t num_keys,
                          const T* HWY_RESTRICT values, size_t key_stride,
                          size_t vector_stride, size_t count, Ahead& ahead,
                          float* HWY_RESTRICT sums, size_t sums_stride) {
  const DF df;
  VF s[kQueries * kVectors];
  for (size_t i = 0; i < kQueries; ++i) {
    for (size_t v = 0; v < kVectors; ++v) {
      s[i * kVectors + v] =
          hn::Mul(hn::LoadU(df, sums + i * sums_stride + v * kLanes),
                  hn::Set(df, rescale[i]));
    }
  }
  for (size_t key = 0; key < num_keys; ++key) {
    ahead.Step();
    VF x[kVectors];
    for (size_t v = 0; v < kVectors; ++v) {
      const T* from = values + key * key_stride + v * vector_stride;
      x[v] = kTail ? LoadCacheN(from, count) : LoadCache(from);
    }
    for (size_t i = 0; i < kQueries; ++i) {
      const VF w = hn::Set(df, weights[i * kCacheTile + key]);
      for (size_t v = 0; v < kVectors; ++v) {
        s[i * kVectors + v] = hn::MulAdd(w, x[v], s[i * kVectors + v]);
      }
    }
  }
  for (size_t i = 0; i < kQueries; ++i) {
    for (size_t v = 0; v < kVectors; ++v) {
      hn::StoreU(s[i * kVectors + v], df, sums + i * sums_stride + v * kLanes);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace gemma::internal
HWY_AFTER_NAMESPACE();

#endif  // GEMMA_OPS_ATTEND_TILE_INL_H_
