// Values of activations that are much larger than the others of their row. Int8
// codes of a block that contains one would be coarse, so outliers have no codes
// and are multiplied in float32.

#ifndef GEMMA_OPS_PRODUCTS_OUTLIERS_H_
#define GEMMA_OPS_PRODUCTS_OUTLIERS_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "hwy/base.h"
#include "ops/ops.h"
#include "ops/products/mat_mul_kernels.h"

namespace gemma::internal {

// The most rows of a product whose outliers are multiplied together: a column
// of w is decoded once for all.
inline constexpr size_t kOutlierRows = 128;

// Rows of a product and their outliers.
struct OutlierGroup {
  size_t num_rows;
  const uint32_t* cols;  // of all outliers, ascending
  size_t num_cols;
  // Those of row r are outliers[r * stride] and the next counts[r] - 1, in
  // ascending order. Their `at` is the index of the column in cols.
  const Outlier* outliers;
  const uint32_t* counts;
  size_t stride;

  std::span<const Outlier> Row(size_t row) const {
    return {outliers + row * stride, counts[row]};
  }
};

// Int8Panels or a kernel with the same bits, and Int8RowPanels or such.
using Int8Kernel = void(const MatMulJob& job, const Int8Block* x, size_t begin,
                        size_t end, RowIndex index);
using Int8RowKernel = void(const MatMulJob& job, const Int8Block* x,
                           std::span<const Outlier> outliers, size_t begin,
                           size_t end);

// The outliers of the rows of x, and those of the rows of products in groups.
class OutlierRows {
 public:
  OutlierRows() = default;
  // For x [x_rows, cols] and products of `rows` rows. `memory` has Bytes.
  OutlierRows(size_t x_rows, size_t rows, size_t cols, uint8_t* memory);

  static size_t Bytes(size_t x_rows, size_t rows, size_t cols);

  // Rounds a row of x.
  void Quantize(std::span<const float> x, size_t row, Int8Block* out);

  // Makes groups of rows [first, first + count) of the product, which take the
  // rows of x that `index` says. Different rows may be grouped at once.
  void Group(RowIndex index, size_t first, size_t count);

  // Returns the group of `count` rows of products that begins at `first`.
  OutlierGroup GroupAt(size_t first, size_t count) const {
    HWY_DASSERT(num_cols_[first] != kNotFirst);
    return {count,
            cols_ + first * stride_,
            num_cols_[first],
            grouped_ + first * stride_,
            grouped_counts_ + first,
            stride_};
  }

  // Returns the outliers of a row of x.
  std::span<const Outlier> Row(size_t row) const {
    return {outliers_ + row * stride_, counts_[row]};
  }

 private:
  // The outliers of kTileCols columns of a group: a bit for each column, and
  // the number of those in the columns before.
  struct Block {
    uint32_t bits;
    uint32_t before;
  };

  void GroupRows(RowIndex index, size_t first, size_t count);

  // What num_cols_ has at rows after the first of their group.
  static constexpr uint32_t kNotFirst = ~uint32_t{0};

  size_t num_blocks_ = 0;
  size_t stride_ = 0;
  Outlier* outliers_ = nullptr;         // [rows of x, stride_]
  uint32_t* counts_ = nullptr;          // [rows of x]
  Outlier* grouped_ = nullptr;          // [rows of products, stride_]
  uint32_t* grouped_counts_ = nullptr;  // [rows of products]
  // The columns of a group are at its first row.
  uint32_t* cols_ = nullptr;
  uint32_t* num_cols_ = nullptr;
  Block* blocks_ = nullptr;
};

// Computes panels [begin, end) of a job, whose rows are those of the product
// from `first` on, and adds the products of their outliers: in float32, columns
// in ascending order, one fused multiply-add each. x and index are those of the
// whole product. `first` is that of a group, or kOutlierRows or a multiple of
// them later.
void Int8PanelsWithOutliers(Int8Kernel& kernel, const OutlierRows& outliers,
                            const MatMulJob& job, const Int8Block* x,
                            RowIndex index, size_t first, size_t begin,
                            size_t end);

}  // namespace gemma::internal

#endif  // GEMMA_OPS_PRODUCTS_OUTLIERS_H_
