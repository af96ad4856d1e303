// Products of unpacked panels on 64-bit ARM with FEAT_I8MM: an instruction adds
// the products of 2 x 8 with 8 x 2 bytes.

#include <cstddef>

#include "hwy/base.h"
#include "ops/products/unpacked_panels.h"

#if HWY_ARCH_ARM_A64

#include <arm_neon.h>

HWY_PUSH_ATTRIBUTES("arch=armv8.2-a+dotprod+i8mm")

namespace gemma::internal {
namespace neon_i8mm {
namespace {

template <Layout kLayout>
constexpr size_t kGroups = kTileCols / TraitsOf(kLayout).scale_cols;

// The pairs of a panel's rows whose sums stay in registers, and the parts of a
// panel that have so many.
constexpr size_t kWPairs = 4;
constexpr size_t kParts = kPanelRows / (2 * kWPairs);

// The first and the second halves of two vectors.
HWY_INLINE float32x4_t First(float32x4_t a, float32x4_t b) {
  return vreinterpretq_f32_f64(
      vzip1q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b)));
}
HWY_INLINE float32x4_t Second(float32x4_t a, float32x4_t b) {
  return vreinterpretq_f32_f64(
      vzip2q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b)));
}

// Returns two floats, twice.
HWY_INLINE float32x4_t LoadTwice(const float* from) {
  const float32x2_t two = vld1_f32(from);
  return vcombine_f32(two, two);
}

// Returns the scale of a block and minus the sums of its codes.
HWY_INLINE int32x4_t LoadSums(const Int8Block& x) {
  constexpr size_t kBegin = offsetof(Int8Block, scale);
  static_assert(offsetof(Int8Block, minus_sums) == kBegin + 4 &&
                offsetof(Int8Block, minus_sum) == kBegin + 12);
  return vreinterpretq_s32_u8(
      vld1q_u8(reinterpret_cast<const uint8_t*>(&x) + kBegin));
}

// Returns one lane of a, twice, then that of b.
template <int kLane>
HWY_INLINE float32x4_t InPairs(float32x4_t a, float32x4_t b) {
  return First(vdupq_laneq_f32(a, kLane), vdupq_laneq_f32(b, kLane));
}

// Adds to job.sums the products of kXPairs pairs of rows of x, from pair `pair`
// on, with a part of the panel's rows. A vector holds the products of a pair
// with a pair: those of the first row of x, then those of the second.
template <Layout kLayout, size_t kXPairs>
HWY_NOINLINE void Rows(const UnpackedJob& job, size_t pair, size_t part) {
  constexpr size_t kCols = 8;
  constexpr size_t kGroupSteps = TraitsOf(kLayout).scale_cols / kCols;
  constexpr size_t kFirst = 2 * kWPairs;
  const auto* HWY_RESTRICT levels =
      reinterpret_cast<const int8_t*>(job.w->codes) + part * kFirst * kCols;
  const float* HWY_RESTRICT scales = job.w->scales + part * kFirst;
  const float* HWY_RESTRICT offsets = job.w->offsets + part * kFirst;
  float* HWY_RESTRICT out = job.sums + 2 * pair * kPanelRows + part * kFirst;
  const PairedBlock* HWY_RESTRICT x =
      job.paired_x + pair * (kWidenedCols / kTileCols);
  float32x4_t sums[kXPairs][kWPairs];
  HWY_UNROLL(2)
  for (size_t p = 0; p < kXPairs; ++p) {
    HWY_UNROLL(4)
    for (size_t q = 0; q < kWPairs; q += 2) {
      const float* at = out + 2 * p * kPanelRows + 2 * q;
      const float32x4_t row0 = vld1q_f32(at);
      const float32x4_t row1 = vld1q_f32(at + kPanelRows);
      sums[p][q] = First(row0, row1);
      sums[p][q + 1] = Second(row0, row1);
    }
  }
  const size_t num_blocks = job.w->num_blocks;
  for (size_t block = 0; block < num_blocks; ++block, ++x) {
    HWY_UNROLL(2)
    for (size_t group = 0; group < kGroups<kLayout>; ++group) {
      int32x4_t acc[kXPairs][kWPairs];
      HWY_UNROLL(2)
      for (size_t p = 0; p < kXPairs; ++p) {
        HWY_UNROLL(4)
        for (size_t q = 0; q < kWPairs; ++q) acc[p][q] = vdupq_n_s32(0);
      }
      HWY_UNROLL(4)
      for (size_t i = 0; i < kGroupSteps; ++i) {
        int8x16_t codes[kXPairs];
        HWY_UNROLL(2)
        for (size_t p = 0; p < kXPairs; ++p) {
          codes[p] = vld1q_s8(x[p * (kWidenedCols / kTileCols)]
                                  .codes[group * kGroupSteps + i][0]);
        }
        HWY_UNROLL(4)
        for (size_t q = 0; q < kWPairs; ++q) {
          const int8x16_t w = vld1q_s8(levels + 2 * q * kCols);
          HWY_UNROLL(2)
          for (size_t p = 0; p < kXPairs; ++p) {
            acc[p][q] = vmmlaq_s32(acc[p][q], codes[p], w);
          }
        }
        levels += kPanelRows * kCols;
      }
      float32x4_t x_scales[kXPairs];
      HWY_UNROLL(2)
      for (size_t p = 0; p < kXPairs; ++p) {
        x_scales[p] = vld1q_f32(x[p * (kWidenedCols / kTileCols)].scales);
      }
      HWY_UNROLL(4)
      for (size_t q = 0; q < kWPairs; ++q) {
        const float32x4_t scale = LoadTwice(scales + 2 * q);
        HWY_UNROLL(2)
        for (size_t p = 0; p < kXPairs; ++p) {
          sums[p][q] = vfmaq_f32(sums[p][q], vmulq_f32(scale, x_scales[p]),
                                 vcvtq_f32_s32(acc[p][q]));
        }
      }
      if constexpr (TraitsOf(kLayout).has_offset) {
        HWY_UNROLL(2)
        for (size_t p = 0; p < kXPairs; ++p) {
          x_scales[p] =
              vld1q_f32(x[p * (kWidenedCols / kTileCols)]
                            .minus_sums[kGroups<kLayout> == 2 ? group : 2]);
        }
        HWY_UNROLL(4)
        for (size_t q = 0; q < kWPairs; ++q) {
          const float32x4_t offset = LoadTwice(offsets + 2 * q);
          HWY_UNROLL(2)
          for (size_t p = 0; p < kXPairs; ++p) {
            sums[p][q] = vfmsq_f32(sums[p][q], offset, x_scales[p]);
          }
        }
      }
      scales += kPanelRows;
      offsets += kPanelRows;
    }
  }
  HWY_UNROLL(2)
  for (size_t p = 0; p < kXPairs; ++p) {
    HWY_UNROLL(4)
    for (size_t q = 0; q < kWPairs; q += 2) {
      float* at = out + 2 * p * kPanelRows + 2 * q;
      vst1q_f32(at, First(sums[p][q], sums[p][q + 1]));
      vst1q_f32(at + kPanelRows, Second(sums[p][q], sums[p][q + 1]));
    }
  }
}

template <Layout kLayout>
void RowsOfLayout(const UnpackedJob& job) {
  if constexpr (TraitsOf(kLayout).code_bits != 0) {
    const size_t num_pairs = job.num_rows / 2;
    for (size_t part = 0; part < kParts; ++part) {
      size_t pair = 0;
      for (; pair + 2 <= num_pairs; pair += 2) {
        Rows<kLayout, 2>(job, pair, part);
      }
      if (pair < num_pairs) Rows<kLayout, 1>(job, pair, part);
    }
  }
}

}  // namespace
}  // namespace neon_i8mm

void NeonPairRows(const Int8Block* x0, const Int8Block* x1, size_t num_blocks,
                  bool sums, PairedBlock* out) {
  using neon_i8mm::InPairs;
  for (size_t block = 0; block < num_blocks; ++block, ++x0, ++x1, ++out) {
    for (size_t i = 0; i < 2; ++i) {
      const int64x2_t a = vreinterpretq_s64_s8(vld1q_s8(x0->codes + 16 * i));
      const int64x2_t b = vreinterpretq_s64_s8(vld1q_s8(x1->codes + 16 * i));
      vst1q_s8(out->codes[2 * i][0], vreinterpretq_s8_s64(vzip1q_s64(a, b)));
      vst1q_s8(out->codes[2 * i + 1][0],
               vreinterpretq_s8_s64(vzip2q_s64(a, b)));
    }
    const int32x4_t a = neon_i8mm::LoadSums(*x0);
    const int32x4_t b = neon_i8mm::LoadSums(*x1);
    vst1q_f32(out->scales,
              InPairs<0>(vreinterpretq_f32_s32(a), vreinterpretq_f32_s32(b)));
    if (!sums) continue;
    const float32x4_t a_sums = vmulq_n_f32(vcvtq_f32_s32(a), x0->scale);
    const float32x4_t b_sums = vmulq_n_f32(vcvtq_f32_s32(b), x1->scale);
    vst1q_f32(out->minus_sums[0], InPairs<1>(a_sums, b_sums));
    vst1q_f32(out->minus_sums[1], InPairs<2>(a_sums, b_sums));
    vst1q_f32(out->minus_sums[2], InPairs<3>(a_sums, b_sums));
  }
}

void NeonI8mmRows(const UnpackedJob& job) {
  switch (job.layout) {
#define GEMMA_LAYOUT_CASE(layout) \
  case Layout::layout:            \
    return neon_i8mm::RowsOfLayout<Layout::layout>(job);
    GEMMA_LAYOUTS(GEMMA_LAYOUT_CASE)
#undef GEMMA_LAYOUT_CASE
  }
}

}  // namespace gemma::internal

HWY_POP_ATTRIBUTES

#else

namespace gemma::internal {

void NeonPairRows(const Int8Block*, const Int8Block*, size_t, bool,
                  PairedBlock*) {}
void NeonI8mmRows(const UnpackedJob&) {}

}  // namespace gemma::internal

#endif
