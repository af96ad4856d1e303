// The kernels of MatMul in float32. The speed of reading w limits few rows of x
// (decode): values are used as they are read. Multiply-adds limit many rows
// (prefill): weights are decoded once per block of columns into a buffer that
// stays in the L1 cache, and used for all rows; most layouts with codes are
// decoded this way for few rows, too. Both ways sum the columns of a row in
// ascending order, with one fused multiply-add each, so they give the same
// bits.

#include "ops/products/mat_mul_kernels.h"

// ---- 1. Compile part 2 once per SIMD target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/products/mat_mul_float.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target.h.
#include "hwy/highway.h"
#include "ops/products/decode-inl.h"
#include "ops/products/packed-inl.h"

#ifndef GEMMA_OPS_PRODUCTS_MAT_MUL_FLOAT_ONCE
#define GEMMA_OPS_PRODUCTS_MAT_MUL_FLOAT_ONCE
namespace gemma::internal {

// The columns decoded at once: a panel of them, in float, takes 16 KiB.
inline constexpr size_t kBlockCols = 256;

// The bytes of a line of a cache, and the columns of x in it.
inline constexpr size_t kLineBytes = 64;
inline constexpr size_t kLineCols = kLineBytes / sizeof(float);

}  // namespace gemma::internal
#endif  // GEMMA_OPS_PRODUCTS_MAT_MUL_FLOAT_ONCE

// ---- 2. Vectors, no threads.
HWY_BEFORE_NAMESPACE();
namespace gemma::internal {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Multiplies kRows rows of x, from row `first` on, with kPanels panels of
// values.
template <Layout kLayout, size_t kRows, size_t kPanels>
HWY_NOINLINE void FewRows(const MatMulJob& job, RowIndex index, size_t first,
                          size_t panel) {
  using D = Decoder<kLayout>;
  const DF df;
  const size_t stride = PanelBytes(kLayout, job.w.cols);
  const float* HWY_RESTRICT x[kRows];
  for (size_t r = 0; r < kRows; ++r) {
    x[r] = job.x.Row(RowOfX(index, first + r)).data();
  }
  VF sums[kPanels][kRows][kColVectors];
  for (size_t i = 0; i < kPanels; ++i) {
    for (size_t r = 0; r < kRows; ++r) {
      for (size_t v = 0; v < kColVectors; ++v) sums[i][r][v] = hn::Zero(df);
    }
  }
  const uint8_t* from = job.w.Panel(panel);
  size_t col = 0;
  const auto unit = [&](size_t size) GEMMA_LAMBDA {
    for (size_t i = 0; i < kPanels; ++i) {
      Fetch<PanelBlockBytes(kLayout)>(from + i * stride +
                                      kSideBySide.ahead_bytes);
      D::Unit(from + i * stride, [&](size_t c, size_t v, VF w) GEMMA_LAMBDA {
        if (c >= size) return;
        for (size_t r = 0; r < kRows; ++r) {
          VF& sum = sums[i][r][v];
          sum = hn::MulAdd(w, hn::Set(df, x[r][col + c]), sum);
        }
      });
    }
    from += PanelBlockBytes(kLayout);
    col += size;
  };
  while (col + D::kCols <= job.w.cols) unit(D::kCols);
  if (col < job.w.cols) unit(job.w.cols - col);
  for (size_t i = 0; i < kPanels; ++i) {
    const size_t row = (panel + i) * kPanelRows;
    for (size_t r = 0; r < kRows; ++r) {
      StoreSums(sums[i][r], job.bias.empty() ? nullptr : job.bias.data() + row,
                job.w.rows - row, job.out.Row(first + r).data() + row);
    }
  }
}

// Multiplies the rows of x from `first` on, kRows at a time, with panels
// [begin, end) of values. Returns the number of rows done.
template <Layout kLayout, size_t kRows>
size_t FewRowsOf(const MatMulJob& job, RowIndex index, size_t first,
                 size_t begin, size_t end) {
  // Sums stay in registers: AVX-512 has 32, other targets 16.
  constexpr size_t kSums = kColVectors == 1 ? 16 : 8;
  constexpr size_t kPanels =
      HWY_MAX(1, HWY_MIN(kSideBySide.streams, kSums / (kRows * kColVectors)));
  size_t row = first;
  for (; row + kRows <= job.out.rows; row += kRows) {
    size_t panel = begin;
    for (; panel + kPanels <= end; panel += kPanels) {
      FewRows<kLayout, kRows, kPanels>(job, index, row, panel);
    }
    for (; panel < end; ++panel) {
      FewRows<kLayout, kRows, 1>(job, index, row, panel);
    }
  }
  return row - first;
}

// Multiplies the only row of x with kPanels panels of codes, decoded as they
// are read: while one panel's sums wait for each other, the next panel's begin.
template <Layout kLayout, size_t kPanels>
HWY_NOINLINE void OneRowOfCodes(const MatMulJob& job, RowIndex index,
                                size_t panel) {
  static_assert(!TraitsOf(kLayout).has_row_units);
  const DF df;
  const size_t stride = PanelBytes(kLayout, job.w.cols);
  const float* HWY_RESTRICT x = job.x.Row(RowOfX(index, 0)).data();
  const Ahead<kTileStride<kLayout>> ahead(
      kSideBySide.ahead_bytes, job.w.cols / kTileCols, kPanels, stride);
  VF sums[kPanels * kColVectors];
  for (VF& sum : sums) sum = hn::Zero(df);
  size_t tile_index = 0;
  ForEachTile<kLayout>(
      job.w, panel, 0, job.w.cols,
      [&](const uint8_t* header, size_t group, const Tile& tile) GEMMA_LAMBDA {
        const size_t ahead_bytes = ahead.Of(tile_index++);
        for (size_t i = 0; i < kPanels; ++i) {
          const Tile t = tile.At(i * stride);
          Fetch<kTileStride<kLayout>>(t.planes + ahead_bytes);
          VF* HWY_RESTRICT sum = sums + i * kColVectors;
          DecodeTile<kLayout>(header + i * stride, group, t, nullptr,
                              [&](size_t c, size_t v, VF w) GEMMA_LAMBDA {
                                sum[v] =
                                    hn::MulAdd(w, hn::Set(df, x[c]), sum[v]);
                              });
        }
        x += kTileCols;
      });
  for (size_t i = 0; i < kPanels; ++i) {
    const size_t first = (panel + i) * kPanelRows;
    StoreSums(sums + i * kColVectors,
              job.bias.empty() ? nullptr : job.bias.data() + first,
              job.w.rows - first, job.out.data + first);
  }
}

// Decodes columns [begin, end) of a panel to out [end - begin, kPanelRows].
template <Layout kLayout>
HWY_NOINLINE void DecodePanel(const PackedView& w, size_t panel, size_t begin,
                              size_t end, float* HWY_RESTRICT out) {
  DecodeCols<kLayout>(
      w, panel, begin, end, [&](size_t col, size_t v, VF values) GEMMA_LAMBDA {
        hn::Store(values, DF(), out + col * kPanelRows + v * LanesF());
      });
}

// The panels and the rows of x of a tile. Its sums leave registers for a column
// and a row's value, hide the latency of a multiply-add, and need fewer loads
// than multiply-adds: 12 of 16 registers, 16 of the 32 of AVX-512.
inline constexpr size_t kTilePanels = kColVectors == 1 ? 2 : 1;
inline constexpr size_t kTileRows =
    kColVectors == 1 ? 8 : HWY_MAX(2, 12 / kColVectors);

// Some decoded columns of kTilePanels panels.
struct DecodedPanels {
  HWY_ALIGN float values[kTilePanels][kBlockCols * kPanelRows];
  size_t cols = 0;
};

// What AllRows will decode next: calls of RowTile fetch it into the L2 cache.
struct NextBlock {
  const uint8_t* from;  // in the first of its panels
  size_t panel_bytes;   // between them
  size_t line_bytes;    // of each, for kLineCols columns; a multiple of a line
};

// Continues the sums of kRows rows of x with kPanels decoded panels. The sums
// start at zero if `first`, else at the values in `out`. `bias` is null except
// for the last columns. Fetches the same columns of as many rows from `next_x`
// on, and bytes [begin, end) of each `line_bytes` of the next block.
template <size_t kRows, size_t kPanels>
HWY_INLINE void RowTile(const DecodedPanels& w, const float* HWY_RESTRICT x,
                        size_t x_stride, const float* next_x, bool first,
                        const float* bias, size_t w_rows,
                        float* HWY_RESTRICT out, size_t out_stride,
                        const NextBlock& next, size_t next_begin,
                        size_t next_end) {
  constexpr size_t kVectors = kPanels * kColVectors;
  const DF df;
  VF sums[kRows][kVectors];
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t v = 0; v < kVectors; ++v) {
      const float* from = out + r * out_stride + v * LanesF();
      sums[r][v] = first || w_rows <= v * LanesF() ? hn::Zero(df)
                   : w_rows >= (v + 1) * LanesF()
                       ? hn::LoadU(df, from)
                       : hn::LoadN(df, from, w_rows - v * LanesF());
    }
  }
  const uint8_t* fetch = next.from;
  for (size_t line = 0; line < w.cols; line += kLineCols) {
    for (size_t r = 0; r < kRows; ++r) {
      __builtin_prefetch(next_x + r * x_stride + line);
    }
    for (size_t i = next_begin; i < next_end; i += kLineBytes) {
      for (size_t p = 0; p < kPanels; ++p) {
        __builtin_prefetch(fetch + p * next.panel_bytes + i, /*rw=*/0,
                           /*locality=*/2);
      }
    }
    fetch += next.line_bytes;
    const size_t end = HWY_MIN(line + kLineCols, w.cols);
    for (size_t col = line; col < end; ++col) {
      VF values[kVectors];
      for (size_t v = 0; v < kVectors; ++v) {
        values[v] = hn::Load(df, w.values[v / kColVectors] + col * kPanelRows +
                                     v % kColVectors * LanesF());
      }
      for (size_t r = 0; r < kRows; ++r) {
        const VF xs = hn::Set(df, x[r * x_stride + col]);
        for (size_t v = 0; v < kVectors; ++v) {
          sums[r][v] = hn::MulAdd(values[v], xs, sums[r][v]);
        }
      }
    }
  }
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t v = 0; v < kVectors; ++v) {
      float* to = out + r * out_stride + v * LanesF();
      if (bias == nullptr && w_rows >= (v + 1) * LanesF()) {
        // Some CPUs take much longer for StoreN.
        hn::StoreU(sums[r][v], df, to);
      } else {
        StorePart(sums[r][v], v, bias, w_rows, out + r * out_stride);
      }
    }
  }
}

// Multiplies all rows with kPanels decoded panels, from `panel` on.
template <size_t kPanels>
HWY_NOINLINE void AllRows(const MatMulJob& job, RowIndex index, size_t panel,
                          size_t begin, const DecodedPanels& decoded,
                          const NextBlock& next) {
  const size_t row = panel * kPanelRows;
  const float* bias = job.bias.empty() || begin + decoded.cols != job.w.cols
                          ? nullptr
                          : job.bias.data() + row;
  HWY_ALIGN float gathered[kTileRows][kBlockCols];
  const auto tile = [&](auto rows, size_t r) GEMMA_LAMBDA {
    constexpr size_t kRows = decltype(rows)::value;
    const auto fetched = [&](size_t row_of_x) GEMMA_LAMBDA {
      return next.line_bytes / kLineBytes * row_of_x / job.out.rows *
             kLineBytes;
    };
    const float* x = job.x.data + r * job.x.stride + begin;
    const float* next_x = x + kRows * job.x.stride;
    size_t x_stride = job.x.stride;
    if (!index.empty()) {
      for (size_t i = 0; i < kRows; ++i) {
        hwy::CopyBytes(job.x.data + index[r + i] * job.x.stride + begin,
                       gathered[i], decoded.cols * sizeof(float));
      }
      x = next_x = gathered[0];
      x_stride = kBlockCols;
    }
    RowTile<kRows, kPanels>(
        decoded, x, x_stride, next_x, begin == 0, bias, job.w.rows - row,
        job.out.data + r * job.out.stride + row, job.out.stride, next,
        fetched(r), fetched(r + kRows));
  };
  size_t r = 0;
  for (; r + kTileRows <= job.out.rows; r += kTileRows) {
    tile(std::integral_constant<size_t, kTileRows>(), r);
  }
  if constexpr (kTileRows > 4) {
    if (r + 4 <= job.out.rows) {
      tile(std::integral_constant<size_t, 4>(), r);
      r += 4;
    }
  }
  for (; r + 2 <= job.out.rows; r += 2) {
    tile(std::integral_constant<size_t, 2>(), r);
  }
  if (r < job.out.rows) tile(std::integral_constant<size_t, 1>(), r);
}

// Multiplies several rows of x with panels [begin, end). The rows' values of a
// block of columns stay in the L2 cache meanwhile.
template <Layout kLayout>
void ManyRows(const MatMulJob& job, RowIndex index, size_t begin, size_t end) {
  DecodedPanels decoded;
  for (size_t col = 0; col < job.w.cols; col += kBlockCols) {
    const size_t col_end = HWY_MIN(col + kBlockCols, job.w.cols);
    decoded.cols = col_end - col;
    for (size_t panel = begin; panel < end; panel += kTilePanels) {
      const size_t count = HWY_MIN(kTilePanels, end - panel);
      for (size_t i = 0; i < count; ++i) {
        DecodePanel<kLayout>(job.w, panel + i, col, col_end, decoded.values[i]);
      }
      // The next panels in the same columns, or the first in the next columns.
      const bool more = panel + count < end;
      const NextBlock next = {
          job.w.Panel(more ? panel + count : begin) +
              PanelBytes(kLayout, more ? col : col_end),
          PanelBytes(kLayout, job.w.cols),
          more || col_end < job.w.cols
              ? hwy::RoundUpTo(
                    PanelBytes(kLayout, kBlockCols) * kLineCols / kBlockCols,
                    kLineBytes)
              : 0};
      if (kTilePanels > 1 && count == kTilePanels) {
        AllRows<kTilePanels>(job, index, panel, col, decoded, next);
      } else {
        AllRows<1>(job, index, panel, col, decoded, next);
      }
    }
  }
}

template <Layout kLayout>
void Panels(const MatMulJob& job, RowIndex index, size_t begin, size_t end) {
  if constexpr (TraitsOf(kLayout).code_bits == 0) {
    if (job.out.rows <= kFewRows) {
      size_t row = FewRowsOf<kLayout, 4>(job, index, 0, begin, end);
      row += FewRowsOf<kLayout, 2>(job, index, row, begin, end);
      FewRowsOf<kLayout, 1>(job, index, row, begin, end);
      return;
    }
  } else if constexpr (kLayout == Layout::kU8) {
    // Autoencoders use this layout without rounding activations.
    constexpr size_t kPanels = kSideBySide.streams / 2;
    if (job.out.rows == 1) {
      size_t panel = begin;
      for (; panel + kPanels <= end; panel += kPanels) {
        OneRowOfCodes<kLayout, kPanels>(job, index, panel);
      }
      for (; panel < end; ++panel) {
        OneRowOfCodes<kLayout, 1>(job, index, panel);
      }
      return;
    }
  }
  ManyRows<kLayout>(job, index, begin, end);
}

// Chooses the layout once per call, so the loops above do not branch on it.
void FloatPanelsOnTarget(const MatMulJob& job, RowIndex index, size_t begin,
                         size_t end) {
  switch (job.w.layout) {
#define GEMMA_LAYOUT_CASE(layout) \
  case Layout::layout:            \
    return Panels<Layout::layout>(job, index, begin, end);
    GEMMA_LAYOUTS(GEMMA_LAYOUT_CASE)
#undef GEMMA_LAYOUT_CASE
  }
}

void DecodeFloatsOnTarget(const PackedView& w, size_t panel, size_t begin,
                          size_t end, float* HWY_RESTRICT out) {
  switch (w.layout) {
#define GEMMA_LAYOUT_CASE(layout) \
  case Layout::layout:            \
    return DecodePanel<Layout::layout>(w, panel, begin, end, out);
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
HWY_EXPORT(FloatPanelsOnTarget);
HWY_EXPORT(DecodeFloatsOnTarget);

void FloatPanels(const MatMulJob& job, size_t begin, size_t end,
                 RowIndex index) {
  HWY_DYNAMIC_DISPATCH(FloatPanelsOnTarget)(job, index, begin, end);
}

void DecodeFloats(const PackedView& w, size_t panel, size_t begin, size_t end,
                  float* out) {
  HWY_DYNAMIC_DISPATCH(DecodeFloatsOnTarget)(w, panel, begin, end, out);
}

}  // namespace gemma::internal
#endif  // HWY_ONCE
