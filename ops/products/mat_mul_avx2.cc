#include <bit>

#include "hwy/base.h"
#include "ops/products/unpacked_panels.h"

#if HWY_ARCH_X86

#include <immintrin.h>

HWY_PUSH_ATTRIBUTES("avx2,fma")

namespace gemma::internal {
namespace avx2 {

#include "ops/products/unpacked_dots-inl.h"

// Products of the code vectors of one group of columns with kRows rows of x:
// acc[r][p] for part p of the rows of w. kScales: times the scales of w, whole
// numbers. These sums fit in the bits of a float, and so do the products of
// such scales with those of x, so that the result is the same.
template <Layout kLayout, size_t kRows>
struct Dots {
  static constexpr size_t kVectors = kGroupVectors<kLayout>;
  static constexpr size_t kCodeBytes = IsNarrow(kLayout) ? 1 : 2;
  static constexpr bool kScales =
      IsNarrow(kLayout) && TraitsOf(kLayout).has_row_units;
  static constexpr int kZero = TraitsOf(kLayout).zero;
  // The largest magnitude of a narrow level.
  static constexpr int kLargest =
      HWY_MAX(kZero, (1 << HWY_MIN(kNarrowBits, TraitsOf(kLayout).level_bits)) -
                         1 - kZero);
  // Vectors whose products with x a sum in 16 bits holds: two to each lane.
  static constexpr size_t kStep =
      HWY_MIN(kVectors, 2 * 127 * 8 * kLargest <= INT16_MAX ? 8 : 4);
  static_assert(!IsNarrow(kLayout) ||
                2 * 127 * int{kStep} * kLargest <= INT16_MAX);
  static_assert(!kScales ||
                4 * 127 * int{kVectors} * kLargest * 128 <= 1 << 24);

  // Returns minus the zero times the codes of x in sum `step` of a group: half
  // of all columns, unless a sum holds the group. The sums wrap around on the
  // way, but the last is that of levels, which fits.
  static HWY_INLINE __m256i LessZero(const Int8Block& x, size_t group,
                                     size_t step) {
    const __m256i sums = kStep == kVectors
                             ? MinusSums<kLayout>(x, group)
                             : _mm256_set1_epi32(x.minus_sums[step]);
    return _mm256_slli_epi16(sums, std::countr_zero(unsigned{kZero}));
  }

  // For unsigned codes of few bits.
  static HWY_INLINE void SumNarrow(const uint8_t* HWY_RESTRICT codes,
                                   const Int8Block* const (&x)[kRows],
                                   const int32_t* HWY_RESTRICT steps,
                                   size_t group, __m256i (&acc)[kRows][2]) {
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i pairs[kRows][kParts];
    HWY_UNROLL(8)
    for (size_t i = 0; i < kVectors; ++i) {
      const __m256i w0 = LoadCodes(codes, i, 0);
      const __m256i w1 = LoadCodes(codes, i, 1);
      HWY_UNROLL(4)
      for (size_t r = 0; r < kRows; ++r) {
        const __m256i xs = BroadcastCodes(*x[r], group * kVectors + i);
        const __m256i p0 = _mm256_maddubs_epi16(w0, xs);
        const __m256i p1 = _mm256_maddubs_epi16(w1, xs);
        if (i % kStep == 0 && kZero == 0) {
          pairs[r][0] = p0;
          pairs[r][1] = p1;
        } else if (i % kStep == 0) {
          const __m256i less_zero = LessZero(*x[r], group, i / kStep);
          pairs[r][0] = _mm256_add_epi16(less_zero, p0);
          pairs[r][1] = _mm256_add_epi16(less_zero, p1);
        } else {
          pairs[r][0] = _mm256_add_epi16(pairs[r][0], p0);
          pairs[r][1] = _mm256_add_epi16(pairs[r][1], p1);
        }
        KeepInOrder(pairs[r][0]);
        KeepInOrder(pairs[r][1]);
        if (i % kStep != kStep - 1) continue;
        HWY_UNROLL(2)
        for (size_t p = 0; p < kParts; ++p) {
          const __m256i factor =
              kScales ? _mm256_load_si256(
                            reinterpret_cast<const __m256i*>(steps + p * 8))
                      : ones;
          const __m256i sum = _mm256_madd_epi16(pairs[r][p], factor);
          acc[r][p] = i < kStep ? sum : _mm256_add_epi32(acc[r][p], sum);
        }
      }
    }
  }

  // For signed levels in 16 bits.
  static HWY_INLINE void SumWide(const uint8_t* HWY_RESTRICT codes,
                                 const int16_t* HWY_RESTRICT x, size_t group,
                                 __m256i (&acc)[kRows][kParts]) {
    HWY_UNROLL(8)
    for (size_t i = 0; i < kVectors; ++i) {
      HWY_UNROLL(2)
      for (size_t odd = 0; odd < 2; ++odd) {
        const __m256i w0 = LoadCodes(codes, 2 * i + odd, 0);
        const __m256i w1 = LoadCodes(codes, 2 * i + odd, 1);
        HWY_UNROLL(4)
        for (size_t r = 0; r < kRows; ++r) {
          int32_t two;
          hwy::CopyBytes<sizeof(two)>(
              x + r * kWidenedCols + odd * 16 + 2 * (group * kVectors + i),
              &two);
          const __m256i xs = _mm256_set1_epi32(two);
          const __m256i p0 = _mm256_madd_epi16(w0, xs);
          const __m256i p1 = _mm256_madd_epi16(w1, xs);
          if (i == 0 && odd == 0) {
            acc[r][0] = p0;
            acc[r][1] = p1;
          } else {
            acc[r][0] = _mm256_add_epi32(acc[r][0], p0);
            acc[r][1] = _mm256_add_epi32(acc[r][1], p1);
          }
          KeepInOrder(acc[r][0]);
          KeepInOrder(acc[r][1]);
        }
      }
    }
  }

  static HWY_INLINE void Sum(const uint8_t* HWY_RESTRICT codes,
                             const Int8Block* const (&x)[kRows],
                             const int16_t* HWY_RESTRICT widened_x,
                             const int32_t* HWY_RESTRICT steps, size_t group,
                             __m256i (&acc)[kRows][kParts]) {
    if constexpr (IsNarrow(kLayout)) {
      SumNarrow(codes, x, steps, group, acc);
    } else {
      SumWide(codes, widened_x, group, acc);
    }
  }
};

#include "ops/products/unpacked_rows-inl.h"

}  // namespace avx2

void Avx2Widen(const Int8Block* x, size_t num_blocks, int16_t* out) {
  for (size_t block = 0; block < num_blocks; ++block, out += kTileCols) {
    const __m256i codes =
        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x[block].codes));
    auto* to = reinterpret_cast<__m256i*>(out);
    _mm256_store_si256(to, _mm256_srai_epi16(_mm256_slli_epi16(codes, 8), 8));
    _mm256_store_si256(to + 1, _mm256_srai_epi16(codes, 8));
  }
}

void Avx2MinusX(const Int8Block* x, size_t num_blocks, bool halves,
                float* out) {
  // Gathered first, so that the rest is done in vectors.
  uint32_t sums[kUnpackedGroups];
  size_t count = 0;
  for (const Int8Block* end = x + num_blocks; x != end; ++x) {
    out[count] = x->scale;
    if (halves) {
      sums[count++] = static_cast<uint32_t>(x->minus_sums[0]);
      out[count] = x->scale;
      sums[count++] = static_cast<uint32_t>(x->minus_sums[1]);
    } else {
      sums[count++] = static_cast<uint32_t>(x->minus_sum);
    }
  }
  for (size_t i = 0; i < count; ++i) {
    const int sum =
        static_cast<int16_t>(sums[i]) + static_cast<int16_t>(sums[i] >> 16);
    out[i] *= static_cast<float>(sum);
  }
}

void Avx2Rows(const UnpackedJob& job) { avx2::RowsOfJob(job); }

}  // namespace gemma::internal

HWY_POP_ATTRIBUTES

#else

namespace gemma::internal {

void Avx2Widen(const Int8Block*, size_t, int16_t*) {}
void Avx2MinusX(const Int8Block*, size_t, bool, float*) {}
void Avx2Rows(const UnpackedJob&) {}

}  // namespace gemma::internal

#endif
