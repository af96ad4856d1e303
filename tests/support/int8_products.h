// Products with rows that are rounded to int8, for tests of their kernels.

#ifndef GEMMA_TESTS_SUPPORT_INT8_PRODUCTS_H_
#define GEMMA_TESTS_SUPPORT_INT8_PRODUCTS_H_

#include <cmath>
#include <cstddef>
#include <cstring>
#include <vector>

#include "ops/products/mat_mul_kernels.h"

namespace gemma::internal {

using Int8PanelsFunction = void(const MatMulJob&, const Int8Block*, size_t,
                                size_t, RowIndex);

// Rounded rows of x and the products of some of them, in buffers without room
// at the end.
class Int8Products {
 public:
  // x: [rows, cols]
  Int8Products(const std::vector<float>& x, size_t cols)
      : x_rows_(x.size() / cols), cols_(cols), blocks_(x.size() / kTileCols) {
    for (size_t r = 0; r < x_rows_; ++r) {
      QuantizeRow({x.data() + r * cols, cols},
                  blocks_.data() + r * cols / kTileCols);
    }
  }

  // Returns the products of `rows` rows, or of those of the index.
  std::vector<float> Of(Int8PanelsFunction* kernel, const PackedView& w,
                        const std::vector<float>& bias, size_t rows,
                        RowIndex index = {}) const {
    std::vector<float> out(rows * w.rows, NAN);
    const MatMulJob job = {{nullptr, index.empty() ? rows : x_rows_, cols_},
                           w,
                           bias,
                           {out.data(), rows, w.rows}};
    kernel(job, blocks_.data(), 0, w.NumPanels(), index);
    return out;
  }

  // Whether the kernel gives the bits of Int8Panels (sums of random scales may
  // be NaN).
  bool Same(Int8PanelsFunction* kernel, const PackedView& w,
            const std::vector<float>& bias, size_t rows,
            RowIndex index = {}) const {
    const std::vector<float> want = Of(Int8Panels, w, bias, rows, index);
    const std::vector<float> got = Of(kernel, w, bias, rows, index);
    return std::memcmp(want.data(), got.data(), want.size() * sizeof(float)) ==
           0;
  }

 private:
  size_t x_rows_;
  size_t cols_;
  std::vector<Int8Block> blocks_;
};

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SUPPORT_INT8_PRODUCTS_H_
