// The left operand of matrix products, rounded as their kernels need it.

#ifndef GEMMA_OPS_PRODUCTS_ROUNDED_X_H_
#define GEMMA_OPS_PRODUCTS_ROUNDED_X_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "ops/ops.h"
#include "ops/products/kernel_table.h"
#include "ops/products/mat_mul_kernels.h"
#include "ops/products/outliers.h"

namespace gemma::internal {

// x for several products at once. The rounded values are in the context's
// buffer, until a different RoundedX or TopProducts uses it.
class RoundedX {
 public:
  // Products take the rows x[index[i]], or those of x itself if `index` is
  // empty. Both must outlive this. `rows` chooses the arithmetic if the context
  // does not know the rows of the pass.
  RoundedX(MatrixView<const float> x, RowIndex index, size_t rows,
           MatMulContext& context)
      : x_(x),
        index_(index),
        pass_rows_(context.pass_rows() != 0 ? context.pass_rows() : rows),
        kernels_(context.arithmetic()),
        context_(context) {}

  // Returns the bytes of the context's buffer that products of `rows` rows
  // [x_rows, cols] may need.
  static size_t Bytes(size_t x_rows, size_t rows, size_t cols);

  // Rounds x as products with w need it, unless that is done.
  void Round(const PackedView& w);

  // If there is an index, products begin at the first of some rows that this
  // knows as a group, or kOutlierRows or a multiple of them later. Different
  // groups may be added at once, after Round.
  void AddGroup(size_t first, size_t count) {
    // A row alone needs no columns that it shares with others.
    if (int8_ != nullptr && count > 1) outliers_.Group(index_, first, count);
  }

  // Whether a product with w costs about the same if Run computes it in pieces
  // of kOutlierRows rows. All kernels for x in int8 get such pieces anyway
  // (Int8PanelsWithOutliers); others would decode or read w again for each.
  bool CanDivideRows(const PackedView& w) const {
    return IsInt8(KernelOf(w, num_rows()));
  }

  // Computes panels [begin, end) of the product of rows [first, first +
  // out.rows) with w, which Round must have seen. `first` is a multiple of
  // kOutlierRows, or as AddGroup says.
  void Run(size_t first, const PackedView& w, std::span<const float> bias,
           MatrixView<float> out, size_t begin, size_t end) const;

 private:
  size_t num_rows() const { return index_.empty() ? x_.rows : index_.size(); }
  Kernel KernelOf(const PackedView& w, size_t rows) const {
    return kernels_.For(w, rows, pass_rows_);
  }
  void RoundToInt8();
  void RoundToBf16();

  MatrixView<const float> x_;
  RowIndex index_;
  size_t pass_rows_;
  KernelChoice kernels_;
  MatMulContext& context_;
  const Int8Block* int8_ = nullptr;  // of each row of x
  OutlierRows outliers_;
  Bf16Rows bf16_ = {};  // in the order of products
};

}  // namespace gemma::internal

#endif  // GEMMA_OPS_PRODUCTS_ROUNDED_X_H_
