// Rounds activations to int8, except outliers.

#include <bit>

#include "ops/products/mat_mul_kernels.h"

// ---- 1. Compile part 2 once per SIMD target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/products/quantize_row.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target.h.
#include "hwy/highway.h"
#include "ops/products/packed-inl.h"

// ---- 2. Vectors, no threads.
HWY_BEFORE_NAMESPACE();
namespace gemma::internal {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// On the real 270M, larger values lose more, and smaller ones cost more time.
inline constexpr float kOutlierRatio = 2.25f;

// The least normal number. Blocks with smaller scales have codes of 0.
inline constexpr float kLeastScale = 0x1p-126f;

// At most half of the columns of a block.
using DQ = hn::CappedTag<float, kTileCols / 2>;
using DQ8 = hn::Rebind<int8_t, DQ>;

// Returns a scale with 17 significant bits: see Int8Block.
HWY_INLINE float WithFewBits(float scale) {
  const auto bits = hwy::BitCastScalar<uint32_t>(scale);
  return hwy::BitCastScalar<float>(bits & ~uint32_t{0x7F});
}

// Sets the scale of each block to its largest magnitude, and returns what
// outliers exceed: NaN or infinity if any x is so.
float OutlierThreshold(std::span<const float> x, Int8Block* HWY_RESTRICT out) {
  const DQ df;
  const hn::RebindToSigned<DQ> di32;
  const size_t num_blocks = x.size() / kTileCols;
  float sum = 0.0f;
  for (size_t block = 0; block < num_blocks; ++block) {
    // Bits of magnitudes have the same order, with NaN after infinity. (The
    // largest of floats may drop a NaN.)
    auto bits = hn::Zero(di32);
    for (size_t i = 0; i < kTileCols; i += hn::Lanes(df)) {
      const auto v = hn::LoadU(df, x.data() + block * kTileCols + i);
      bits = hn::Max(bits, hn::BitCast(di32, hn::Abs(v)));
    }
    out[block].scale = hwy::BitCastScalar<float>(hn::ReduceMax(di32, bits));
    sum += out[block].scale;
  }
  return sum * (kOutlierRatio / static_cast<float>(num_blocks));
}

// Copies a block of x, which begins at column `begin`, to `rest`, except its
// outliers, which are 0 there and are appended to the row's. Returns the
// largest magnitude that is left.
HWY_INLINE float MoveOutliers(const float* HWY_RESTRICT x, size_t begin,
                              float threshold, size_t most,
                              Outlier* HWY_RESTRICT outliers, uint32_t& count,
                              float* HWY_RESTRICT rest) {
  const DQ df;
  const auto limit = hn::Set(df, threshold);
  auto largest = hn::Zero(df);
  for (size_t i = 0; i < kTileCols; i += hn::Lanes(df)) {
    const auto v = hn::LoadU(df, x + i);
    const auto is_outlier = hn::Gt(hn::Abs(v), limit);
    auto left = hn::IfThenZeroElse(is_outlier, v);
    hn::Store(left, df, rest + i);
    uint8_t bytes[8] = {};  // StoreMaskBits may write all
    hn::StoreMaskBits(df, is_outlier, bytes);
    uint64_t bits;
    hwy::CopyBytes<sizeof(bits)>(bytes, &bits);
    for (; bits != 0; bits &= bits - 1) {
      const size_t lane = i + static_cast<size_t>(std::countr_zero(bits));
      if (count == most) {
        rest[lane] = x[lane];
      } else {
        outliers[count++] = {static_cast<uint32_t>(begin + lane), x[lane]};
      }
    }
    if (count == most) left = hn::Load(df, rest + i);
    largest = hn::Max(largest, hn::Abs(left));
  }
  return hn::ReduceMax(df, largest);
}

// Returns the codes of some x: a multiple of scale, whose inverse is given.
// Scaled numbers are within 127 and a little more, which rounding takes away:
// see WithFewBits. x that is not a number gets 0.
HWY_INLINE hn::Vec<hn::RebindToSigned<DQ>> CodesOf(const float* x,
                                                   hn::Vec<DQ> inverse) {
  const DQ df;
  const auto scaled = hn::Mul(hn::LoadU(df, x), inverse);
  return hn::NearestInt(hn::IfThenZeroElse(hn::IsNaN(scaled), scaled));
}

#if HWY_TARGET == HWY_AVX2
// Sets codes, minus_sums and minus_sum of a block.
HWY_INLINE void SetCodes(const float* HWY_RESTRICT x, hn::Vec<DQ> inverse,
                         Int8Block& block) {
  const hn::Repartition<uint8_t, DF> du8;
  const hn::Repartition<int8_t, DF> di8;
  const hn::Repartition<int16_t, DF> d16;
  const DI32 d;
  static_assert(HWY_MAX_LANES_D(decltype(di8)) == kTileCols);
  const auto codes = hn::OrderedDemote2To(
      di8,
      hn::OrderedDemote2To(d16, CodesOf(x, inverse), CodesOf(x + 8, inverse)),
      hn::OrderedDemote2To(d16, CodesOf(x + 16, inverse),
                           CodesOf(x + 24, inverse)));
  hn::StoreU(codes, di8, block.codes);
  // Lanes of 32 bits hold two sums. Each half of a vector is one of columns.
  const auto minus =
      hn::Neg(hn::SatWidenMulPairwiseAdd(d16, hn::Set(du8, 1), codes));
  const auto other = hn::BitCast(d16, hn::Shuffle1032(hn::BitCast(d, minus)));
  const auto two = hn::BitCast(d, hn::Add(minus, other));
  const auto sums =
      hn::Add(hn::BitCast(d16, two), hn::BitCast(d16, hn::Shuffle2301(two)));
  const auto both = hn::Add(sums, hn::SwapAdjacentBlocks(sums));
  block.minus_sums[0] = hn::GetLane(hn::BitCast(d, sums));
  block.minus_sums[1] = hn::ExtractLane(hn::BitCast(d, sums), hn::Lanes(d) / 2);
  block.minus_sum = hn::GetLane(hn::BitCast(d, both));
}
#else
#if HWY_MAX_BYTES == 64
// Returns the sum of 16 codes.
HWY_INLINE int32_t SumOfCodes(hn::Vec<DQ8> codes) {
  const hn::RebindToUnsigned<DQ8> du8;
  const auto sums =
      hn::SumsOf8(hn::Xor(hn::BitCast(du8, codes), hn::Set(du8, 0x80)));
  return static_cast<int32_t>(hn::GetLane(sums) + hn::ExtractLane(sums, 1)) -
         16 * 128;
}
#endif

// Sets codes, minus_sums and minus_sum of a block.
HWY_INLINE void SetCodes(const float* HWY_RESTRICT x, hn::Vec<DQ> inverse,
                         Int8Block& block) {
  [[maybe_unused]] const hn::RebindToSigned<DQ> di32;
  const DQ8 d8;
  int32_t sums[2] = {};
  for (size_t i = 0; i < kTileCols; i += hn::Lanes(d8)) {
    const auto codes = CodesOf(x + i, inverse);
    const auto bytes = hn::DemoteTo(d8, codes);
    hn::StoreU(bytes, d8, block.codes + i);
#if HWY_MAX_BYTES == 64
    sums[2 * i / kTileCols] = SumOfCodes(bytes);
#else
    sums[2 * i / kTileCols] += hn::ReduceSum(di32, codes);
#endif
  }
  block.minus_sums[0] = -sums[0];
  block.minus_sums[1] = -sums[1];
  block.minus_sum = -(sums[0] + sums[1]);
}
#endif

uint32_t QuantizeOnTarget(std::span<const float> x, Int8Block* HWY_RESTRICT out,
                          Outlier* HWY_RESTRICT outliers) {
  const float threshold = OutlierThreshold(x, out);
  uint32_t num_outliers = 0;
  alignas(64) float rest[kTileCols];
  for (size_t begin = 0; begin < x.size(); begin += kTileCols, ++out) {
    const float* HWY_RESTRICT from = x.data() + begin;
    float largest = out->scale;
    if (largest > threshold) {
      largest = MoveOutliers(from, begin, threshold, MaxOutliers(x.size()),
                             outliers, num_outliers, rest);
      from = rest;
    }
    // The difference is NaN if any x is NaN or infinite, else 0.
    const float scale = WithFewBits(largest / 127.0f + (largest - largest));
    // The inverse of a smaller scale may be infinite.
    const float inverse = scale >= kLeastScale ? 1.0f / scale : 0.0f;
    SetCodes(from, hn::Set(DQ(), inverse), *out);
    out->scale = scale;
  }
  return num_outliers;
}

}  // namespace HWY_NAMESPACE
}  // namespace gemma::internal
HWY_AFTER_NAMESPACE();

// ---- 3. Dispatch.
#if HWY_ONCE
namespace gemma::internal {
HWY_EXPORT(QuantizeOnTarget);

uint32_t QuantizeRow(std::span<const float> x, Int8Block* out,
                     Outlier* outliers) {
  HWY_ASSERT(x.size() % kTileCols == 0);
  return HWY_DYNAMIC_DISPATCH(QuantizeOnTarget)(x, out, outliers);
}

}  // namespace gemma::internal
#endif  // HWY_ONCE
