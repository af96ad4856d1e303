// The kernels of MatMul. Each computes consecutive panels of one job, for the
// rows of job.out, on the calling thread. RoundedX chooses among them.

#ifndef GEMMA_OPS_PRODUCTS_MAT_MUL_KERNELS_H_
#define GEMMA_OPS_PRODUCTS_MAT_MUL_KERNELS_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "ops/ops.h"

namespace gemma::internal {

// The most panels that one task computes: it reads a block of x once for all.
inline constexpr size_t kTaskPanels = 8;

// Up to this many rows of x are multiplied as fast as w can be read.
inline constexpr size_t kFewRows = 8;

// The most bytes of a thread's stack that the parts of a product take: a caller
// that keeps results for a while, the addition of outliers, and a kernel. macOS
// gives a thread 512 KiB, and each part has a few variables more.
inline constexpr size_t kCallerStackBytes = 128 << 10;
inline constexpr size_t kOutlierStackBytes = 98 << 10;
inline constexpr size_t kKernelStackBytes = 148 << 10;
static_assert(kCallerStackBytes + kOutlierStackBytes + kKernelStackBytes <=
              384 << 10);

// Returns `out` of a job of which only panels from `panel` on are computed, so
// that their results are the first columns of `to`. Kernels write results to
// the place of a panel in rows of w_rows values; those before the place are not
// touched, and need not exist.
inline MatrixView<float> OutFrom(size_t panel, MatrixView<float> to,
                                 size_t w_rows) {
  return {to.data - panel * kPanelRows, to.rows, w_rows, to.stride};
}

// kTileCols activations, rounded to int8: x[i] is about scale * codes[i].
struct Int8Block {
  int8_t codes[kTileCols];  // -127..127
  // It has 17 significant bits, so that its product with a whole number in
  // -128..127, a scale of rows with units, is exact: kernels may multiply
  // either scale first.
  float scale;
  // Minus the sums of the codes of each half, and of both. Products of unsigned
  // codes begin with a multiple of one of them, which a shift then gives.
  // On the target AVX2, each holds two sums in 16 bits: of columns 0 and 1 of
  // every four in the lower half, of columns 2 and 3 in the upper one.
  int32_t minus_sums[2];
  int32_t minus_sum;
};

// The row of x that each row of a product takes. Empty: its own.
using RowIndex = std::span<const uint32_t>;
inline size_t RowOfX(RowIndex index, size_t row) {
  return index.empty() ? row : index[row];
}

// An activation that is much larger than most of its row. It has no code,
// because those of its block would be coarse: its code is 0.
struct Outlier {
  uint32_t at;  // its column
  float value;
};

// Returns the most outliers of a row.
constexpr size_t MaxOutliers(size_t cols) { return cols / 16; }

// Rounds x to nearest, except outliers: values whose magnitude exceeds a few
// times the mean, over the row's blocks, of the largest magnitude. Writes the
// first MaxOutliers(x.size()) of them and returns their number; any more are
// rounded. x.size() is a multiple of kTileCols. Infinities and NaN give NaN
// scales, and such rows have no outliers.
uint32_t QuantizeRow(std::span<const float> x, Int8Block* out,
                     Outlier* outliers);

// Multiplies the values of w and x exactly and sums in float32, columns in
// ascending order.
void FloatPanels(const MatMulJob& job, size_t begin, size_t end,
                 RowIndex index = {});

// Decodes columns [begin, end) of a panel of w to out [end - begin,
// kPanelRows], which is aligned for vectors.
void DecodeFloats(const PackedView& w, size_t panel, size_t begin, size_t end,
                  float* out);

// As FloatPanels, for layouts with codes and the rounded rows `x`: row r starts
// at x + r * w.cols / kTileCols. Products within a block are exact integers,
// blocks are summed in ascending order in float32: the same bits on all CPUs.
void Int8Panels(const MatMulJob& job, const Int8Block* x, size_t begin,
                size_t end, RowIndex index = {});

// As Int8Panels, for one row. Then adds the products of its outliers: in
// float32, columns in ascending order, one fused multiply-add each.
void Int8RowPanels(const MatMulJob& job, const Int8Block* x,
                   std::span<const Outlier> outliers, size_t begin, size_t end);

// Rows of x rounded to bfloat16, `stride` apart, padded with readable rows of
// any contents to a multiple of kBf16RowMultiple rows.
struct Bf16Rows {
  const uint16_t* data;
  size_t stride;
};
inline constexpr size_t kBf16RowMultiple = 32;

// Rounds to nearest even.
void RoundRow(std::span<const float> x, uint16_t* out);

// Multiplies x, rounded to bfloat16, and w, whose layout is kBF16, and sums in
// float32 in an order that depends only on w.cols, a multiple of 32. Needs
// HasAmxBf16() or HasAvx512Bf16() (ops/cpu.h).
void Bf16Panels(const MatMulJob& job, const Bf16Rows& x, size_t begin,
                size_t end);

}  // namespace gemma::internal

#endif  // GEMMA_OPS_PRODUCTS_MAT_MUL_KERNELS_H_
