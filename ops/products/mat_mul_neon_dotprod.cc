// Products of quantized panels on 64-bit ARM with FEAT_DotProd: an instruction
// adds, for each row of w in a vector, four products of bytes.

#include <utility>

#include "hwy/detect_targets.h"
#include "ops/products/unpacked_panels.h"

#if HWY_ARCH_ARM_A64 && (HWY_STATIC_TARGET & HWY_ALL_NEON)

#include <arm_neon.h>

#include "hwy/highway.h"
#include "ops/products/int8_dot-inl.h"
#include "ops/products/outliers-inl.h"
#include "ops/products/packed-inl.h"

HWY_PUSH_ATTRIBUTES("arch=armv8.2-a+dotprod")

namespace gemma::internal {
namespace neon_dotprod {
namespace {

#include "ops/products/neon_dots-inl.h"

// ---- Few rows of x, and w as it is packed.

// Adds to sums[r] the product of row r of x and a group of columns of a tile.
template <Layout kLayout, size_t kGroup, size_t kRows>
HWY_INLINE void AddGroup(const uint8_t* header, size_t group,
                         const base::Tile& tile, size_t v,
                         const Int8Block* const (&blocks)[kRows],
                         const int8x16_t (&x)[kRows][2],
                         float32x4_t (&sums)[kRows]) {
  int32x4_t acc[kRows];
  GroupDots<kLayout, kGroup, base::CodeBits::kAll>(
      tile, v, blocks, x, acc,
      std::make_index_sequence<kGroupVectors<kLayout>>());
  base::VF scale;
  base::VF offset;
  base::LoadScale<kLayout>(header, group + kGroup, v, scale, offset);
  HWY_UNROLL(2)
  for (size_t r = 0; r < kRows; ++r) {
    const Int8Block& xb = *blocks[r];
    sums[r] = vfmaq_f32(sums[r], vmulq_n_f32(scale.raw, xb.scale),
                        vcvtq_f32_s32(acc[r]));
    if constexpr (TraitsOf(kLayout).has_offset) {
      const int32_t codes =
          -(kGroups<kLayout> == 2 ? xb.minus_sums[kGroup] : xb.minus_sum);
      sums[r] = vfmaq_n_f32(sums[r], offset.raw,
                            xb.scale * static_cast<float>(codes));
    }
  }
}

// Multiplies rows first + 0..kRows - 1 with a panel, and the outliers if there
// is one row.
template <Layout kLayout, size_t kRows>
HWY_NOINLINE void FewRows(const MatMulJob& job, const Int8Block* x,
                          RowIndex index, std::span<const Outlier> outliers,
                          size_t first, size_t panel) {
  constexpr size_t kBlockTiles = TraitsOf(kLayout).block_cols / kTileCols;
  constexpr size_t kStride = base::kTileStride<kLayout>;
  const size_t num_tiles = job.w.cols / kTileCols;
  const Int8Block* blocks[kRows];
  float32x4_t sums[kParts][kRows];
  HWY_UNROLL(2)
  for (size_t r = 0; r < kRows; ++r) {
    blocks[r] = x + RowOfX(index, first + r) * num_tiles;
    HWY_UNROLL(4)
    for (size_t v = 0; v < kParts; ++v) sums[v][r] = vdupq_n_f32(0.0f);
  }
  const base::Ahead<kStride> ahead(kAheadBytes, num_tiles, 1,
                                   PanelBytes(kLayout, job.w.cols));
  const uint8_t* header = job.w.Panel(panel);
  const uint8_t* rest = nullptr;
  if constexpr (RestBytes(kLayout) != 0) rest = job.w.Rest(panel);
  // Two loops, so that the units of a block are converted once.
  for (size_t t = 0; t < num_tiles; header += PanelBlockBytes(kLayout)) {
    for (size_t in_block = 0; in_block < kBlockTiles; ++in_block, ++t) {
      const base::Tile tile = {
          header + HeaderBytes(kLayout) + in_block * TileBytes(kLayout), rest};
      base::Fetch<kStride>(tile.planes + ahead.Of(t));
      if constexpr (RestBytes(kLayout) != 0) {
        base::Fetch<RestBytes(kLayout)>(rest + kAheadBytes / 4);
        rest += RestBytes(kLayout);
      }
      int8x16_t codes[kRows][2];
      HWY_UNROLL(2)
      for (size_t r = 0; r < kRows; ++r) {
        codes[r][0] = vld1q_s8(blocks[r]->codes);
        codes[r][1] = vld1q_s8(blocks[r]->codes + 16);
      }
      const size_t group = in_block * kGroups<kLayout>;
      HWY_UNROLL(4)
      for (size_t v = 0; v < kParts; ++v) {
        AddGroup<kLayout, 0>(header, group, tile, v, blocks, codes, sums[v]);
        if constexpr (kGroups<kLayout> == 2) {
          AddGroup<kLayout, 1>(header, group, tile, v, blocks, codes, sums[v]);
        }
        KeepInOrder();
      }
      HWY_UNROLL(2)
      for (size_t r = 0; r < kRows; ++r) ++blocks[r];
    }
  }
  const base::PanelPlaces<kLayout> places(job.w);
  const size_t row = panel * kPanelRows;
  const size_t w_rows = job.w.rows - row;
  HWY_UNROLL(2)
  for (size_t r = 0; r < kRows; ++r) {
    HWY_UNROLL(4)
    for (size_t v = 0; v < kParts; ++v) {
      base::VF sum(sums[v][r]);
      if constexpr (TraitsOf(kLayout).has_row_units) {
        sum.raw =
            vmulq_f32(sum.raw, base::LoadUnits<kLayout>(job.w, panel, v).raw);
      }
      if (!job.bias.empty()) {
        sum = base::AddBias(sum, v, job.bias.data() + row, w_rows);
      }
      if constexpr (kRows == 1) {
        sum = base::AddOutliers(places, outliers, panel, v, sum);
      }
      base::StorePart(sum, v, /*bias=*/nullptr, w_rows,
                      job.out.Row(first + r).data() + row);
    }
  }
}

template <Layout kLayout>
void FewRowsPanels(const MatMulJob& job, const Int8Block* x, RowIndex index,
                   std::span<const Outlier> outliers, size_t begin,
                   size_t end) {
  if constexpr (TraitsOf(kLayout).code_bits != 0) {
    for (size_t panel = begin; panel < end; ++panel) {
      size_t row = 0;
      for (; row + 2 <= job.out.rows; row += 2) {
        FewRows<kLayout, 2>(job, x, index, {}, row, panel);
      }
      for (; row < job.out.rows; ++row) {
        FewRows<kLayout, 1>(job, x, index, outliers, row, panel);
      }
    }
  }
}

// ---- Unpacked panels.

// The vectors of a panel's rows whose sums stay in registers.
constexpr size_t kHalf = kParts / 2;

// Adds the products of four columns of x with some rows of w.
template <int kLane, size_t kRows>
HWY_INLINE void AddLevels(const int8_t* HWY_RESTRICT levels,
                          const int8x16_t (&x)[kRows],
                          int32x4_t (&acc)[kRows][kHalf]) {
  const int8x16_t w0 = vld1q_s8(levels + kLane * kCodeVectorBytes);
  const int8x16_t w1 = vld1q_s8(levels + kLane * kCodeVectorBytes + 16);
  HWY_UNROLL(4)
  for (size_t r = 0; r < kRows; ++r) {
    acc[r][0] = vdotq_laneq_s32(acc[r][0], w0, x[r], kLane);
    acc[r][1] = vdotq_laneq_s32(acc[r][1], w1, x[r], kLane);
  }
}

// Adds to job.sums the products of rows [row, row + kRows) of x with half of
// the panel's rows.
template <Layout kLayout, size_t kRows>
HWY_NOINLINE void Rows(const UnpackedJob& job, size_t row, size_t half) {
  constexpr size_t kFirst = kPanelRows / 2;
  const auto* HWY_RESTRICT levels =
      reinterpret_cast<const int8_t*>(job.w->codes) + half * 4 * kFirst;
  const float* HWY_RESTRICT scales = job.w->scales + half * kFirst;
  const float* HWY_RESTRICT offsets = job.w->offsets + half * kFirst;
  float* HWY_RESTRICT out = job.sums + row * kPanelRows + half * kFirst;
  const Int8Block* x[kRows];
  float32x4_t sums[kRows][kHalf];
  HWY_UNROLL(4)
  for (size_t r = 0; r < kRows; ++r) {
    x[r] = job.x[row + r];
    HWY_UNROLL(2)
    for (size_t p = 0; p < kHalf; ++p) {
      sums[r][p] = vld1q_f32(out + r * kPanelRows + 4 * p);
    }
  }
  const size_t num_blocks = job.w->num_blocks;
  for (size_t block = 0; block < num_blocks; ++block) {
    HWY_UNROLL(2)
    for (size_t group = 0; group < kGroups<kLayout>; ++group) {
      int32x4_t acc[kRows][kHalf];
      HWY_UNROLL(4)
      for (size_t r = 0; r < kRows; ++r) {
        acc[r][0] = acc[r][1] = vdupq_n_s32(0);
      }
      HWY_UNROLL(2)
      for (size_t i = 0; i < kGroupVectors<kLayout> / 4; ++i) {
        int8x16_t codes[kRows];
        HWY_UNROLL(4)
        for (size_t r = 0; r < kRows; ++r) {
          codes[r] = vld1q_s8(x[r]->codes +
                              4 * (group * kGroupVectors<kLayout>)+16 * i);
        }
        AddLevels<0>(levels, codes, acc);
        AddLevels<1>(levels, codes, acc);
        AddLevels<2>(levels, codes, acc);
        AddLevels<3>(levels, codes, acc);
        levels += 4 * kCodeVectorBytes;
        KeepInOrder();
      }
      HWY_UNROLL(2)
      for (size_t p = 0; p < kHalf; ++p) {
        const float32x4_t scale = vld1q_f32(scales + 4 * p);
        HWY_UNROLL(4)
        for (size_t r = 0; r < kRows; ++r) {
          sums[r][p] = vfmaq_f32(sums[r][p], vmulq_n_f32(scale, x[r]->scale),
                                 vcvtq_f32_s32(acc[r][p]));
        }
      }
      if constexpr (TraitsOf(kLayout).has_offset) {
        HWY_UNROLL(4)
        for (size_t r = 0; r < kRows; ++r) {
          const int32_t minus_sum =
              kGroups<kLayout> == 2 ? x[r]->minus_sums[group] : x[r]->minus_sum;
          const float minus_x = x[r]->scale * static_cast<float>(minus_sum);
          HWY_UNROLL(2)
          for (size_t p = 0; p < kHalf; ++p) {
            sums[r][p] =
                vfmsq_n_f32(sums[r][p], vld1q_f32(offsets + 4 * p), minus_x);
          }
        }
      }
      KeepInOrder();
      scales += kPanelRows;
      offsets += kPanelRows;
    }
    HWY_UNROLL(4)
    for (size_t r = 0; r < kRows; ++r) ++x[r];
  }
  HWY_UNROLL(4)
  for (size_t r = 0; r < kRows; ++r) {
    HWY_UNROLL(2)
    for (size_t p = 0; p < kHalf; ++p) {
      vst1q_f32(out + r * kPanelRows + 4 * p, sums[r][p]);
    }
  }
}

template <Layout kLayout>
void RowsOfLayout(const UnpackedJob& job) {
  if constexpr (TraitsOf(kLayout).code_bits != 0) {
    for (size_t half = 0; half < 2; ++half) {
      size_t row = 0;
      for (; row + 4 <= job.num_rows; row += 4)
        Rows<kLayout, 4>(job, row, half);
      for (; row < job.num_rows; row += 2) Rows<kLayout, 2>(job, row, half);
    }
  }
}

void FewRowsOfLayout(const MatMulJob& job, const Int8Block* x, RowIndex index,
                     std::span<const Outlier> outliers, size_t begin,
                     size_t end) {
  switch (job.w.layout) {
#define GEMMA_LAYOUT_CASE(layout) \
  case Layout::layout:            \
    return FewRowsPanels<Layout::layout>(job, x, index, outliers, begin, end);
    GEMMA_LAYOUTS(GEMMA_LAYOUT_CASE)
#undef GEMMA_LAYOUT_CASE
  }
}

}  // namespace
}  // namespace neon_dotprod

void NeonFewRowsPanels(const MatMulJob& job, const Int8Block* x, size_t begin,
                       size_t end, RowIndex index) {
  neon_dotprod::FewRowsOfLayout(job, x, index, {}, begin, end);
}

void NeonRowPanels(const MatMulJob& job, const Int8Block* x,
                   std::span<const Outlier> outliers, size_t begin,
                   size_t end) {
  HWY_ASSERT(job.out.rows == 1);
  neon_dotprod::FewRowsOfLayout(job, x, {}, outliers, begin, end);
}

void NeonDotProdRows(const UnpackedJob& job) {
  switch (job.layout) {
#define GEMMA_LAYOUT_CASE(layout) \
  case Layout::layout:            \
    return neon_dotprod::RowsOfLayout<Layout::layout>(job);
    GEMMA_LAYOUTS(GEMMA_LAYOUT_CASE)
#undef GEMMA_LAYOUT_CASE
  }
}

}  // namespace gemma::internal

HWY_POP_ATTRIBUTES

#else

namespace gemma::internal {

void NeonFewRowsPanels(const MatMulJob&, const Int8Block*, size_t, size_t,
                       RowIndex) {}
void NeonRowPanels(const MatMulJob&, const Int8Block*, std::span<const Outlier>,
                   size_t, size_t) {}
void NeonDotProdRows(const UnpackedJob&) {}

}  // namespace gemma::internal

#endif
