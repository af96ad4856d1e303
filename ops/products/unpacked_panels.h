// Products of many rows of x with quantized panels whose codes are unpacked to
// bytes first: on CPUs with AVX2 and without dot products of four bytes in 512
// bits, on ARM's with dot products, and for tiles (int8_tiles.h). Unpacking
// costs as much as one or two rows; then, a row costs only the instructions
// that multiply and add.

#ifndef GEMMA_OPS_PRODUCTS_UNPACKED_PANELS_H_
#define GEMMA_OPS_PRODUCTS_UNPACKED_PANELS_H_

#include <cstddef>
#include <cstdint>

#include "compression/weight_view.h"
#include "ops/products/mat_mul_kernels.h"

namespace gemma::internal {

// The columns that are unpacked at a time. With the rows of x that they are
// multiplied with, they stay in an L1 cache of 32 KiB.
inline constexpr size_t kUnpackedCols = 1024;
// If codes take 16 bits, or x is in pairs of rows, which take as many.
inline constexpr size_t kWidenedCols = kUnpackedCols / 2;
// The fewest columns that share a scale, and the most groups of such.
inline constexpr size_t kMinGroupCols = 16;
inline constexpr size_t kUnpackedGroups = kUnpackedCols / kMinGroupCols;

// How codes are unpacked.
enum class CodeForm {
  kCodes,   // [num_blocks, kCodeVectors, kCodeVectorBytes]: see Layout
  kWide,    // two vectors of signed levels in 16 bits for each vector of codes:
            // columns 0 and 2 of every row, then columns 1 and 3
  kLevels,  // as kCodes, with signed levels
  kPairs,   // signed levels: [num_blocks, kTileCols / 8, kPanelRows, 8]
};

// Up to kCols columns of a panel, half as many if their codes are widened.
// Blocks have kTileCols columns, groups share scales.
template <size_t kCols>
struct UnpackedCols {
  static constexpr size_t kGroups = kCols / kMinGroupCols;

  alignas(64) uint8_t codes[kCols * kPanelRows];
  // [groups, kPanelRows]: for units of 1. Offsets are unset if the layout has
  // none. If rows have units, scales are whole numbers; `steps` are the same,
  // each twice in 16 bits. Only the target AVX2 sets them: any other leaves
  // them unset.
  alignas(64) float scales[kGroups * kPanelRows];
  union {
    alignas(64) float offsets[kGroups * kPanelRows];
    alignas(64) int32_t steps[kGroups * kPanelRows];
  };
  // What sums are multiplied with: 1 if the rows have no units.
  alignas(64) float units[kPanelRows];
  size_t num_blocks = 0;
};
using UnpackedPanel = UnpackedCols<kUnpackedCols>;

// The most bits of codes whose products AVX2 sums in 16 bits.
inline constexpr size_t kNarrowBits = 6;
constexpr bool IsNarrow(Layout layout) {
  return TraitsOf(layout).level_bits <= kNarrowBits;
}

// The form of a layout's codes, for a kernel that wants `form`: narrow codes
// are never widened.
constexpr CodeForm FormOf(Layout layout, CodeForm form) {
  return form == CodeForm::kWide && IsNarrow(layout) ? CodeForm::kCodes : form;
}

// The memory of an UnpackedCols, and its kCols.
struct UnpackedMemory {
  uint8_t* codes;
  float* scales;
  float* offsets;
  int32_t* steps;
  float* units;
  size_t cols;
};

// Unpacks columns [begin, end) of a panel, multiples of the columns of its
// blocks, to FormOf(w.layout, form). AVX2 has the first two forms, AVX-512 VNNI
// the first and the third, 64-bit ARM the last two. Fetches as many bytes from
// `next` into the cache, unless it is null.
void Unpack(const PackedView& w, size_t panel, size_t begin, size_t end,
            CodeForm form, const uint8_t* next, const UnpackedMemory& out);
template <size_t kCols>
void Unpack(const PackedView& w, size_t panel, size_t begin, size_t end,
            CodeForm form, const uint8_t* next, UnpackedCols<kCols>& out) {
  out.num_blocks = (end - begin) / kTileCols;
  Unpack(w, panel, begin, end, form, next,
         UnpackedMemory{out.codes, out.scales, out.offsets, out.steps,
                        out.units, kCols});
}

// A block of two rows of x, as instructions that multiply 2 x 8 with 8 x 2
// bytes want it.
struct PairedBlock {
  alignas(64) int8_t codes[kTileCols / 8][2][8];
  float scales[4];  // of the first row twice, then of the second
  // As the scales: scale * minus the sum of the codes, for each half of the
  // columns and for both. Only for layouts with offsets.
  float minus_sums[3][4];
};

// Writes the sums [count, kPanelRows] of rows [first, first + count) with a
// panel to job.out, times the units, plus the bias.
void StoreUnpacked(const float (*sums)[kPanelRows], const float* units,
                   const MatMulJob& job, size_t panel, size_t first,
                   size_t count);

// Adds the products of rows of x with the unpacked columns to their sums.
struct UnpackedJob {
  const UnpackedPanel* w;
  Layout layout;
  // The first of the columns' blocks, in each row. num_rows is even; a row may
  // stand here twice.
  const Int8Block* const* x;
  // [num_rows, kWidenedCols]: their codes in 16 bits, if those of w are so. A
  // block has columns 0 and 2 of each four, then columns 1 and 3.
  const int16_t* widened_x;
  // [num_rows, kUnpackedGroups], on x86, if the layout has offsets: minus the
  // sums of x, as rounded.
  const float* minus_x;
  // [num_rows / 2, kWidenedCols / kTileCols]: their pairs, if codes are so.
  const PairedBlock* paired_x;
  size_t num_rows;
  float* sums;  // [num_rows, kPanelRows]
};

// Need AVX2 and FMA, the last also AVX-VNNI. The first two fill a row of
// widened_x and of minus_x; the third wants widened codes.
void Avx2Widen(const Int8Block* x, size_t num_blocks, int16_t* out);
void Avx2MinusX(const Int8Block* x, size_t num_blocks, bool halves, float* out);
void Avx2Rows(const UnpackedJob& job);
void AvxVnniRows(const UnpackedJob& job);

// Need FEAT_DotProd, the last two also FEAT_I8MM. The first wants levels, the
// last wants pairs of w, and of x from the second.
void NeonDotProdRows(const UnpackedJob& job);
void NeonPairRows(const Int8Block* x0, const Int8Block* x1, size_t num_blocks,
                  bool sums, PairedBlock* out);
void NeonI8mmRows(const UnpackedJob& job);

// As Int8Panels on the target AVX2, which also rounded x, with the same bits,
// by Avx2Rows or AvxVnniRows.
void Avx2Panels(const MatMulJob& job, const Int8Block* x, size_t begin,
                size_t end, RowIndex index = {});
void AvxVnniPanels(const MatMulJob& job, const Int8Block* x, size_t begin,
                   size_t end, RowIndex index = {});

// As Int8Panels on the target AVX-512 VNNI, which also rounded x, with the same
// bits.
void Avx512VnniPanels(const MatMulJob& job, const Int8Block* x, size_t begin,
                      size_t end, RowIndex index = {});

// As Int8Panels and Int8RowPanels, with the same bits. The first two unpack
// nothing, for few rows. Need FEAT_DotProd, the last also FEAT_I8MM.
void NeonFewRowsPanels(const MatMulJob& job, const Int8Block* x, size_t begin,
                       size_t end, RowIndex index = {});
void NeonRowPanels(const MatMulJob& job, const Int8Block* x,
                   std::span<const Outlier> outliers, size_t begin, size_t end);
void NeonDotProdPanels(const MatMulJob& job, const Int8Block* x, size_t begin,
                       size_t end, RowIndex index = {});
void NeonI8mmPanels(const MatMulJob& job, const Int8Block* x, size_t begin,
                    size_t end, RowIndex index = {});

}  // namespace gemma::internal

#endif  // GEMMA_OPS_PRODUCTS_UNPACKED_PANELS_H_
