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
#include "ops/attend_cache-inl.h"
#include "ops/attend_task.h"

HWY_BEFORE_NAMESPACE();
namespace gemma::internal {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

inline constexpr size_t kTileVectors = kCacheTile / kLanes;

// Attributes of a lambda whose vectors must stay in registers.
#ifndef GEMMA_ATTEND_LAMBDA
#define GEMMA_ATTEND_LAMBDA HWY_ATTR __attribute__((always_inline))
#endif

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
              kMaxDecodedValues % (kWideVectors * kLanes) == 0);

template <size_t kSize>
using Constant = std::integral_constant<size_t, kSize>;

// Fetches memory that is needed soon while the CPU computes something else:
// each step of a register tile fetches some bytes more.
struct FetchAhead {
  // Fetches `bytes` from `from` on, in about `steps` steps.
  FetchAhead(const void* from, size_t bytes, size_t steps)
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

// Computes the scores of one register tile with the keys of vectors `first` to
// first + kVectors - 1. q: [head_dim, kQueries]; scores: [kQueries, kVectors *
// kLanes], in rows of kCacheTile.
template <size_t kQueries, size_t kVectors, class T>
HWY_INLINE void ScoreTile(const float* HWY_RESTRICT q,
                          const T* HWY_RESTRICT keys, size_t first,
                          size_t head_dim, FetchAhead& ahead,
                          float* HWY_RESTRICT scores) {
  const DF df;
  VF sums[kQueries * kVectors];
  for (VF& sum : sums) sum = hn::Zero(df);
  const T* from[kVectors];
  for (size_t v = 0; v < kVectors; ++v) {
    from[v] = keys + KeyOffset(first + v, head_dim);
  }
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
                          const float* HWY_RESTRICT rescale,
                          const SeenByQueries<kQueries>& seen,
                          const T* HWY_RESTRICT values, size_t key_stride,
                          size_t vector_stride, size_t count, FetchAhead& ahead,
                          float* HWY_RESTRICT sums, size_t sums_stride) {
  const DF df;
  VF s[kQueries * kVectors];
  for (size_t i = 0; i < kQueries; ++i) {
    for (size_t v = 0; v < kVectors; ++v) {
      const float* from = sums + i * sums_stride + v * kLanes;
      s[i * kVectors + v] =
          rescale[i] == kNoSums
              ? hn::Zero(df)
              : hn::Mul(hn::LoadU(df, from), hn::Set(df, rescale[i]));
    }
  }
  const auto add = [&](size_t key, auto is_seen_by_all) GEMMA_ATTEND_LAMBDA {
    ahead.Step();
    VF x[kVectors];
    for (size_t v = 0; v < kVectors; ++v) {
      const T* from = values + key * key_stride + v * vector_stride;
      x[v] = kTail ? LoadCacheN(from, count) : LoadCache(from);
    }
    for (size_t i = 0; i < kQueries; ++i) {
      if (!is_seen_by_all && !seen.of[i].Contains(key)) continue;
      const VF w = hn::Set(df, weights[i * kCacheTile + key]);
      for (size_t v = 0; v < kVectors; ++v) {
        s[i * kVectors + v] = hn::MulAdd(w, x[v], s[i * kVectors + v]);
      }
    }
  };
  size_t key = seen.all.begin;
  for (; key < seen.common.begin; ++key) add(key, std::false_type());
  for (; key < seen.common.end; ++key) add(key, std::true_type());
  for (; key < seen.all.end; ++key) add(key, std::false_type());
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
