// Products with rows that are rounded to int8, for tests of their kernels.

#ifndef GEMMA_TESTS_SUPPORT_INT8_PRODUCTS_H_
#define GEMMA_TESTS_SUPPORT_INT8_PRODUCTS_H_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "ops/products/mat_mul_kernels.h"
#include "ops/products/outliers.h"

namespace gemma::internal {

// Returns x [rows, cols] with outliers: one to three in most rows, some of them
// in columns that other rows share, and in one row so many that the last are
// rounded.
inline std::vector<float> WithOutliers(std::vector<float> x, size_t cols) {
  const size_t rows = x.size() / cols;
  for (size_t r = 0; r < rows; ++r) {
    for (size_t i = 0; i < r % 4; ++i) {
      x[r * cols + (7 * (r % 5) + 61 * i) % cols] = i % 2 == 0 ? 40.0f : -19.0f;
    }
  }
  const size_t most = rows / 2 * cols;
  for (size_t c = 0; c < cols; ++c) {
    x[most + c] *= c < cols / 8 ? 100.0f : 0.01f;
  }
  return x;
}

// Bits, because sums of random scales may be NaN.
inline bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() &&
         std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Rounded rows of x and the products of some of them, in buffers without room
// at the end.
class Int8Products {
 public:
  // x: [rows, cols]
  Int8Products(const std::vector<float>& x, size_t cols)
      : x_rows_(x.size() / cols),
        cols_(cols),
        x_(x),
        blocks_(x.size() / kTileCols) {}

  // Returns the products of `rows` rows, or of those of the index.
  std::vector<float> Of(Int8Kernel* kernel, const PackedView& w,
                        const std::vector<float>& bias, size_t rows,
                        RowIndex index = {}) {
    std::vector<uint8_t> memory(OutlierRows::Bytes(x_rows_, rows, cols_));
    OutlierRows outliers(x_rows_, rows, cols_, memory.data());
    Quantize(outliers);
    outliers.Group(index, 0, rows);
    std::vector<float> out(rows * w.rows, NAN);
    const MatMulJob job = {{nullptr, index.empty() ? rows : x_rows_, cols_},
                           w,
                           bias,
                           {out.data(), rows, w.rows}};
    Int8PanelsWithOutliers(*kernel, outliers, job, blocks_.data(), index,
                           /*first=*/0, 0, w.NumPanels());
    return out;
  }

  // Returns the products without those of outliers, by one call of the kernel.
  std::vector<float> OfCodes(Int8Kernel* kernel, const PackedView& w,
                             size_t rows) {
    std::vector<uint8_t> memory(OutlierRows::Bytes(x_rows_, rows, cols_));
    OutlierRows outliers(x_rows_, rows, cols_, memory.data());
    Quantize(outliers);
    std::vector<float> out(rows * w.rows, NAN);
    kernel({{nullptr, rows, cols_}, w, {}, {out.data(), rows, w.rows}},
           blocks_.data(), 0, w.NumPanels(), {});
    return out;
  }

  // Whether the kernel gives the bits of Int8Panels.
  bool Same(Int8Kernel* kernel, const PackedView& w,
            const std::vector<float>& bias, size_t rows, RowIndex index = {}) {
    return SameBits(Of(kernel, w, bias, rows, index),
                    Of(Int8Panels, w, bias, rows, index));
  }

 private:
  void Quantize(OutlierRows& outliers) {
    for (size_t r = 0; r < x_rows_; ++r) {
      outliers.Quantize({x_.data() + r * cols_, cols_}, r,
                        blocks_.data() + r * cols_ / kTileCols);
    }
  }

  size_t x_rows_;
  size_t cols_;
  std::vector<float> x_;
  std::vector<Int8Block> blocks_;
};

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SUPPORT_INT8_PRODUCTS_H_
