// The kernels of MatMul for quantized weights and activations rounded to int8.
// One instruction sums four products of bytes where the CPU has it, else two or
// three instructions do.

#include "ops/products/mat_mul_kernels.h"
#include "ops/products/unpacked_panels.h"
#include "ops/targets.h"

#ifndef GEMMA_OPS_PRODUCTS_MAT_MUL_INT8_ONCE
#define GEMMA_OPS_PRODUCTS_MAT_MUL_INT8_ONCE
namespace gemma::internal {

// The rounded rows of x that a product takes.
struct RoundedRows {
  const Int8Block* blocks;
  RowIndex index;
  std::span<const Outlier> outliers;  // of the only row
};

}  // namespace gemma::internal
#endif  // GEMMA_OPS_PRODUCTS_MAT_MUL_INT8_ONCE

// ---- 1. Compile part 2 once per SIMD target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/products/mat_mul_int8.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target.h.
#include "hwy/highway.h"
#include "ops/products/int8_dot-inl.h"
#include "ops/products/outliers-inl.h"
#include "ops/products/packed-inl.h"
#include "ops/products/unpack-inl.h"

// ---- 2. Vectors, no threads.
HWY_BEFORE_NAMESPACE();
namespace gemma::internal {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// From this many rows of x on, arithmetic is the limit, not memory.
inline constexpr size_t kManyRows = 8;

// The most panels that are multiplied with kRows rows of x at a time. With many
// rows, few enough to keep sums and operands in registers.
template <size_t kRows>
inline constexpr size_t kStreams = kRows < kManyRows
                                       ? HWY_MIN(16 / kRows,
                                                 kSideBySide.streams)
                                       : HWY_MAX(1, 2 / kColVectors);

// The vectors of a panel's rows that are multiplied with kRows rows of x at a
// time.
template <size_t kRows>
inline constexpr size_t kParts = kRows < kManyRows ? kColVectors : 1;

// Adds to sums[r] the product of row r of x and a group of columns of a panel,
// for part v of its rows. acc[r] holds the products of codes.
template <Layout kLayout, size_t kGroup, size_t kRows>
HWY_INLINE void AddScaled(const uint8_t* header, size_t group, size_t v,
                          const Int8Block* const HWY_RESTRICT* x, size_t block,
                          const VI32 (&acc)[kRows], VF (&sums)[kRows]) {
  const DF df;
  VF scale;
  VF offset;
  LoadScale<kLayout>(header, group + kGroup, v, scale, offset);
  for (size_t r = 0; r < kRows; ++r) {
    const Int8Block& xb = x[r][block];
    sums[r] = hn::MulAdd(hn::Mul(scale, hn::Set(df, xb.scale)),
                         hn::ConvertTo(df, acc[r]), sums[r]);
    if constexpr (TraitsOf(kLayout).has_offset) {
      const int32_t codes = -MinusSum(
          kTileGroups<kLayout> == 2 ? xb.minus_sums[kGroup] : xb.minus_sum);
      sums[r] = hn::MulAdd(
          offset, hn::Set(df, xb.scale * static_cast<float>(codes)), sums[r]);
    }
  }
}

// Multiplies kRows rows of x, from row `first` on, with parts
// [v_begin, v_begin + kParts) of the rows of `num_panels` panels: at most
// kPanels, and with many rows or one panel exactly kPanels. kFetches: the
// panels are not in a cache yet, so they are fetched ahead. The outliers of one
// row are added here, because the CPU then already reads the next panels.
template <Layout kLayout, size_t kRows, size_t kPanels, bool kFetches>
HWY_NOINLINE void Rows(const MatMulJob& job, const RoundedRows& x, size_t first,
                       size_t panel, size_t num_panels, size_t v_begin) {
  constexpr size_t kNumParts = kParts<kRows>;
  // Tiles that are multiplied with x together.
  constexpr size_t kTiles = kRows < kManyRows ? 1 : kPanels;
  const size_t count = kRows < kManyRows && kPanels > 1 ? num_panels : kPanels;
  const size_t stride = PanelBytes(kLayout, job.w.cols);
  const size_t num_tiles = job.w.cols / kTileCols;
  const Int8Block* rows[kRows];
  for (size_t r = 0; r < kRows; ++r) {
    rows[r] = x.blocks + RowOfX(x.index, first + r) * num_tiles;
  }
  VF sums[kNumParts][kPanels][kRows];
  for (size_t p = 0; p < kNumParts; ++p) {
    for (size_t i = 0; i < kPanels; ++i) {
      for (size_t r = 0; r < kRows; ++r) sums[p][i][r] = hn::Zero(DF());
    }
  }
  if constexpr (TraitsOf(kLayout).has_row_units) {
    // Units follow the tiles, where no other fetch reaches.
    for (size_t i = 0; i < count; ++i) {
      Fetch<UnitBytes(kLayout)>(RestOf<kLayout>(job.w, panel + i));
    }
  }
  const size_t ahead_bytes = GetPanelReads().ahead_bytes;
  const Ahead<kTileStride<kLayout>> ahead(ahead_bytes, num_tiles, count,
                                          stride);
  [[maybe_unused]] const Ahead<HWY_MAX(1, RestBytes(kLayout))> ahead_of_rest(
      ahead_bytes, num_tiles, count, stride);
  size_t block = 0;
  ForEachTile<kLayout>(
      job.w, panel, 0, job.w.cols,
      [&](const uint8_t* header, size_t group, const Tile& tile) GEMMA_LAMBDA {
        for (size_t i = 0; i < count; i += kTiles) {
          Tile tiles[kTiles];
          for (size_t t = 0; t < kTiles; ++t) {
            tiles[t] = tile.At((i + t) * stride);
            if constexpr (kFetches) {
              Fetch<kTileStride<kLayout>>(tiles[t].planes + ahead.Of(block));
            }
            if constexpr (kFetches && RestBytes(kLayout) != 0) {
              Fetch<RestBytes(kLayout)>(tiles[t].rest +
                                        ahead_of_rest.Of(block));
            }
          }
          for (size_t p = 0; p < kNumParts; ++p) {
            Unroll<kTileGroups<kLayout>>([&](auto g) GEMMA_LAMBDA {
              VI32 acc[kTiles][kRows];
              GroupDots<kLayout, g>(tiles, v_begin + p, rows, block, acc);
              for (size_t t = 0; t < kTiles; ++t) {
                AddScaled<kLayout, g>(header + (i + t) * stride, group,
                                      v_begin + p, rows, block, acc[t],
                                      sums[p][i + t]);
              }
            });
          }
        }
        ++block;
      });
  const PanelPlaces<kLayout> places(job.w);
  for (size_t i = 0; i < count; ++i) {
    const size_t row = (panel + i) * kPanelRows;
    for (size_t r = 0; r < kRows; ++r) {
      for (size_t p = 0; p < kNumParts; ++p) {
        const size_t v = v_begin + p;
        VF sum = sums[p][i][r];
        if constexpr (TraitsOf(kLayout).has_row_units) {
          sum = hn::Mul(sum, LoadUnits<kLayout>(job.w, panel + i, v));
        }
        if (!job.bias.empty()) {
          sum = AddBias(sum, v, job.bias.data() + row, job.w.rows - row);
        }
        if constexpr (kRows == 1) {
          sum = AddOutliers(places, x.outliers, panel + i, v, sum);
        }
        StorePart(sum, v, /*bias=*/nullptr, job.w.rows - row,
                  job.out.Row(first + r).data() + row);
      }
    }
  }
}

// Whether Rows is compiled for one panel at a time and few rows: its sums then
// stay in registers. Wanted where GetPanelReads may return one stream.
inline constexpr bool kHasOneStream = HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2;

// Multiplies kRows rows of x with panels [begin, end).
template <Layout kLayout, size_t kRows, bool kFetches>
void PanelRows(const MatMulJob& job, const RoundedRows& x, size_t first,
               size_t begin, size_t end) {
  constexpr size_t kPanels = kStreams<kRows>;
  const size_t streams =
      kRows < kManyRows ? HWY_MIN(kPanels, GetPanelReads().streams) : kPanels;
  // If a panel has more vectors than kParts, they are computed one after the
  // other, so that the sums stay in registers.
  for (size_t v = 0; v < kColVectors; v += kParts<kRows>) {
    size_t panel = begin;
    if constexpr (kHasOneStream && kRows < kManyRows) {
      if (streams == 1) {
        for (; panel < end; ++panel) {
          Rows<kLayout, kRows, 1, kFetches>(job, x, first, panel, 1, v);
        }
        continue;
      }
    }
    for (; panel + streams <= end; panel += streams) {
      Rows<kLayout, kRows, kPanels, kFetches>(job, x, first, panel, streams, v);
    }
    if (panel == end) continue;
    if constexpr (kRows < kManyRows) {
      Rows<kLayout, kRows, kPanels, kFetches>(job, x, first, panel, end - panel,
                                              v);
    } else {
      Rows<kLayout, kRows, 1, kFetches>(job, x, first, panel, 1, v);
    }
  }
}

template <Layout kLayout>
void Panels(const MatMulJob& job, const RoundedRows& x, size_t begin,
            size_t end) {
  if constexpr (TraitsOf(kLayout).code_bits != 0) {
    // A few rows at a time stay in the L1 cache while all panels are read.
    size_t row = 0;
    const auto rows = [&](auto count) GEMMA_LAMBDA {
      constexpr size_t kRows = decltype(count)::value;
      for (; row + kRows <= job.out.rows; row += kRows) {
        // The first rows leave the panels in the L2 cache. Fetches then only
        // take time.
        if (kRows == kManyRows && row > 0) {
          PanelRows<kLayout, kRows, kRows != kManyRows>(job, x, row, begin,
                                                        end);
        } else {
          PanelRows<kLayout, kRows, true>(job, x, row, begin, end);
        }
      }
    };
    // Without vectors, computing rows together gains no speed. On SSE2, which
    // lacks most of the operations, eight rows gain most of it. The others
    // would only take time to compile.
    if constexpr (HWY_TARGET != HWY_EMU128) {
      rows(std::integral_constant<size_t, kManyRows>());
    }
    if constexpr (HWY_TARGET != HWY_EMU128 && HWY_TARGET != HWY_SSE2) {
      rows(std::integral_constant<size_t, 4>());
      rows(std::integral_constant<size_t, 2>());
    }
    rows(std::integral_constant<size_t, 1>());
  }
}

// Chooses the layout once per call, so the loops above do not branch on it.
void Int8PanelsOnTarget(const MatMulJob& job, const RoundedRows& x,
                        size_t begin, size_t end) {
  switch (job.w.layout) {
#define GEMMA_LAYOUT_CASE(layout) \
  case Layout::layout:            \
    return Panels<Layout::layout>(job, x, begin, end);
    GEMMA_LAYOUTS(GEMMA_LAYOUT_CASE)
#undef GEMMA_LAYOUT_CASE
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace gemma::internal
HWY_AFTER_NAMESPACE();

// ---- 3. Dispatch.
#if HWY_ONCE
namespace gemma::internal {
HWY_EXPORT(Int8PanelsOnTarget);

void Int8Panels(const MatMulJob& job, const Int8Block* x, size_t begin,
                size_t end, RowIndex index) {
  HWY_ASSERT(TraitsOf(job.w.layout).code_bits != 0);
  HWY_DYNAMIC_DISPATCH(Int8PanelsOnTarget)(job, {x, index, {}}, begin, end);
}

void Int8RowPanels(const MatMulJob& job, const Int8Block* x,
                   std::span<const Outlier> outliers, size_t begin,
                   size_t end) {
  HWY_ASSERT(TraitsOf(job.w.layout).code_bits != 0 && job.out.rows == 1);
  HWY_DYNAMIC_DISPATCH(Int8PanelsOnTarget)(job, {x, {}, outliers}, begin, end);
}

void Unpack(const PackedView& w, size_t panel, size_t begin, size_t end,
            CodeForm form, const uint8_t* next, const UnpackedMemory& out) {
#if HWY_TARGETS & HWY_AVX3_DL
  if (form == CodeForm::kLevels ||
      (form == CodeForm::kCodes && ChoseAvx512Vnni())) {
    return N_AVX3_DL::UnpackOnTarget(w, panel, begin, end, form, next, out);
  }
#endif
#if HWY_TARGETS & HWY_AVX2
  if (form <= CodeForm::kWide) {
    return N_AVX2::UnpackOnTarget(w, panel, begin, end, form, next, out);
  }
#elif HWY_ARCH_ARM_A64
  if (form >= CodeForm::kLevels) {
    return HWY_STATIC_DISPATCH(UnpackOnTarget)(w, panel, begin, end, form, next,
                                               out);
  }
#endif
  (void)w, (void)panel, (void)begin, (void)end, (void)form, (void)next,
      (void)out;
  HWY_ASSERT(false);  // no kernel that needs it was compiled
}

}  // namespace gemma::internal
#endif  // HWY_ONCE
