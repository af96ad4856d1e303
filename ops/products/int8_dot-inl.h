// Dot products of packed codes with activations rounded to int8. Kernels
// include this file once per SIMD target.

#include <bit>
#include <cstddef>
#include <cstdint>

#include "ops/products/mat_mul_kernels.h"

#if defined(GEMMA_OPS_PRODUCTS_INT8_DOT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef GEMMA_OPS_PRODUCTS_INT8_DOT_INL_H_
#undef GEMMA_OPS_PRODUCTS_INT8_DOT_INL_H_
#else
#define GEMMA_OPS_PRODUCTS_INT8_DOT_INL_H_
#endif

#include "hwy/highway.h"
#include "ops/products/packed-inl.h"

HWY_BEFORE_NAMESPACE();
namespace gemma::internal {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// The signedness of the codes in this target's dot product of four bytes, if it
// has one. (Highway toggles HWY_NATIVE_U8_I8_SUMOFMULQUADACCUMULATE for each
// target, so it cannot be tested.)
enum class QuadDot { kNone, kUnsigned, kSigned };
#if HWY_TARGET == HWY_NEON_BF16
inline constexpr QuadDot kQuadDot = QuadDot::kSigned;
#elif HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3_DL
inline constexpr QuadDot kQuadDot = QuadDot::kUnsigned;
#else
inline constexpr QuadDot kQuadDot = QuadDot::kNone;
#endif

// The bits of the codes that are multiplied.
enum class CodeBits {
  kAll,
  kInBlock,  // the lower bits of kU8Split count as zeros
};

// Dot products of code vectors with the same columns of x. Where the sums of
// products fit int16, they are summed there, over at most kFlush vectors.
template <Layout kLayout, CodeBits kPart>
struct Dot {
  static constexpr bool kIsPart = kPart == CodeBits::kInBlock;
  static constexpr size_t kBits =
      kIsPart ? PlaneBits(kLayout) : TraitsOf(kLayout).level_bits;
  // Codes of 8 bits become signed where the target cannot multiply unsigned
  // ones.
  static constexpr bool kIsSigned =
      kQuadDot != QuadDot::kUnsigned && kBits == 8;
  // Without a four-byte dot product, pairs of products are summed in int16 with
  // saturation. Codes of 8 bits would saturate, so x gets their signs and their
  // magnitudes are multiplied.
  static constexpr bool kUses16 = kQuadDot == QuadDot::kNone;
  // Pairs of up to 2 * (2^kBits - 1) * 127 that a sum in int16 holds.
  static constexpr size_t kFlush = kBits == 4   ? 8
                                   : kBits == 5 ? 4
                                   : kBits == 6 ? 2
                                                : 1;
  // The zero of the codes as they are multiplied. Its product with the sum of x
  // must be subtracted.
  static constexpr int kDotZero =
      kIsSigned ? 0 : kZero<kLayout> >> (TraitsOf(kLayout).level_bits - kBits);

  using DI16 = hn::Repartition<int16_t, DF>;

  // A code vector as it is multiplied: its magnitudes, and the signs for x.
  struct Operand {
    VU8 magnitude;
    hn::Vec<DI8> sign;
  };
  static HWY_INLINE Operand Prepare(VU32 codes) {
    const DU8 du8;
    const DI8 di8;
    if constexpr (kIsSigned) {
      const auto level = hn::BitCast(
          di8, hn::Xor(hn::BitCast(du8, codes), hn::Set(du8, 0x80)));
      return {hn::BitCast(du8, hn::Abs(level)), level};
    } else {
      return {hn::BitCast(du8, codes), hn::Zero(di8)};
    }
  }

  static HWY_INLINE hn::Vec<DI16> Pairs(const Operand& w, hn::Vec<DI8> x) {
    if constexpr (kIsSigned) x = hn::IfNegativeThenNegOrUndefIfZero(w.sign, x);
    return hn::SatWidenMulPairwiseAdd(DI16(), w.magnitude, x);
  }

  static HWY_INLINE VI32 Quads(hn::Vec<DI16> pairs) {
    return hn::WidenMulPairwiseAdd(DI32(), pairs, hn::Set(DI16(), 1));
  }

  // Returns sum plus the dot products of four bytes in each lane. Not if
  // kUses16.
  static HWY_INLINE VI32 AddQuads(VI32 sum, const Operand& w, hn::Vec<DI8> x) {
#if HWY_TARGET == HWY_NEON_BF16  // Highway 1.2 has no operation for it
    const auto codes = kIsSigned ? w.sign : hn::BitCast(DI8(), w.magnitude);
    return VI32(vdotq_s32(sum.raw, codes.raw, x.raw));
#else
    return hn::SumOfMulQuadAccumulate(DI32(), w.magnitude, x, sum);
#endif
  }
};

// Returns four columns of x in every lane.
HWY_INLINE hn::Vec<DI8> Broadcast(const int8_t* HWY_RESTRICT codes) {
  int32_t four;
  hwy::CopyBytes<sizeof(four)>(codes, &four);
  return hn::BitCast(DI8(), hn::Set(DI32(), four));
}

// Returns the sum that a field of Int8Block holds.
HWY_INLINE int32_t MinusSum(int32_t field) {
#if HWY_TARGET == HWY_AVX2
  const auto bits = static_cast<uint32_t>(field);
  return static_cast<int16_t>(bits) + static_cast<int16_t>(bits >> 16);
#else
  return field;
#endif
}

// Returns -kDotZero * the sum of the codes of x for a group of columns.
template <Layout kLayout, size_t kGroup, CodeBits kPart>
HWY_INLINE VI32 LessZero(const Int8Block& x) {
  constexpr int kZero = Dot<kLayout, kPart>::kDotZero;
  const DI32 di32;
  if constexpr (kZero == 0) {
    return hn::Zero(di32);
  } else {
    const int32_t minus_sum =
        kTileGroups<kLayout> == 2 ? x.minus_sums[kGroup] : x.minus_sum;
#if HWY_TARGET == HWY_AVX2
    const hn::Repartition<int16_t, DF> d16;
    return hn::WidenMulPairwiseAdd(
        di32, hn::BitCast(d16, hn::Set(di32, minus_sum)), hn::Set(d16, kZero));
#else
    return hn::ShiftLeft<std::countr_zero(size_t{kZero})>(
        hn::Set(di32, minus_sum));
#endif
  }
}

// Computes acc[i][r], the dot products of row r of x with group kGroup of
// tiles[i], for part v of its rows.
template <Layout kLayout, size_t kGroup, size_t kTiles, size_t kRows,
          CodeBits kPart = CodeBits::kAll>
HWY_INLINE void GroupDots(const Tile (&tiles)[kTiles], size_t v,
                          const Int8Block* const HWY_RESTRICT* x, size_t block,
                          VI32 (&acc)[kTiles][kRows]) {
  using D = Dot<kLayout, kPart>;
  constexpr size_t kVectors = kCodeVectors / kTileGroups<kLayout>;
  constexpr size_t kFlush = HWY_MIN(D::kFlush, kVectors);
  for (size_t r = 0; r < kRows; ++r) {
    const VI32 zero = LessZero<kLayout, kGroup, kPart>(x[r][block]);
    for (size_t i = 0; i < kTiles; ++i) acc[i][r] = zero;
  }
  [[maybe_unused]] hn::Vec<typename D::DI16> pairs[kTiles][kRows];
  Unroll<kVectors>([&](auto vector) GEMMA_LAMBDA {
    constexpr size_t g = kGroup * kVectors + vector;
    typename D::Operand w[kTiles];
    for (size_t i = 0; i < kTiles; ++i) {
      w[i] = D::Prepare(D::kIsPart ? BlockCodes<kLayout, g>(tiles[i], v)
                                   : Codes<kLayout, g>(tiles[i], v));
    }
    for (size_t r = 0; r < kRows; ++r) {
      const auto xs = Broadcast(x[r][block].codes + 4 * g);
      for (size_t i = 0; i < kTiles; ++i) {
        if constexpr (D::kUses16) {
          const auto products = D::Pairs(w[i], xs);
          pairs[i][r] =
              g % kFlush == 0 ? products : hn::Add(pairs[i][r], products);
          if (g % kFlush == kFlush - 1) {
            acc[i][r] = hn::Add(acc[i][r], D::Quads(pairs[i][r]));
          }
        } else {
          acc[i][r] = D::AddQuads(acc[i][r], w[i], xs);
        }
      }
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace gemma::internal
HWY_AFTER_NAMESPACE();

#endif  // GEMMA_OPS_PRODUCTS_INT8_DOT_INL_H_
