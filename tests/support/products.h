// Products with random packed matrices, and what they should be.

#ifndef GEMMA_TESTS_SUPPORT_PRODUCTS_H_
#define GEMMA_TESTS_SUPPORT_PRODUCTS_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "compression/codec.h"
#include "ops/ops.h"
#include "tests/support/test_matrix.h"

namespace gemma::internal {

// Returns a width of several blocks that is no multiple of 64 if the format
// allows that.
inline size_t WideCols(Format format) {
  return BlockValues(format) == 256  ? 512
         : BlockValues(format) == 64 ? 320
                                     : 288;
}

// x w^T + bias in double precision, and for each result the sum of magnitudes,
// which scales the tolerance.
struct Expected {
  Expected(const std::vector<float>& x, size_t rows, const TestMatrix& w,
           const std::vector<float>& bias) {
    for (size_t t = 0; t < rows; ++t) {
      for (size_t r = 0; r < w.packed.rows; ++r) {
        double sum = bias.empty() ? 0.0 : bias[r];
        double magnitude = std::abs(sum);
        for (size_t c = 0; c < w.packed.cols; ++c) {
          const double term = static_cast<double>(x[t * w.packed.cols + c]) *
                              w.values[r * w.packed.cols + c];
          sum += term;
          magnitude += std::abs(term);
        }
        sums.push_back(sum);
        magnitudes.push_back(magnitude);
      }
    }
  }

  double Error(const std::vector<float>& actual) const {
    double error = 0;
    for (size_t i = 0; i < sums.size(); ++i) {
      error = std::max(error, std::abs(actual[i] - sums[i]) /
                                  std::max(magnitudes[i], 1e-30));
    }
    return error;
  }

  std::vector<double> sums, magnitudes;
};

inline std::vector<float> Product(
    const std::vector<float>& x, size_t rows, const TestMatrix& w,
    const std::vector<float>& bias, Workers& workers,
    Arithmetic arithmetic = Arithmetic::kFloat32) {
  std::vector<float> out(rows * w.packed.rows, NAN);
  MatMulContext context(arithmetic, rows, w.packed.cols, workers);
  const MatMulJob job = {{x.data(), rows, w.packed.cols},
                         w.packed,
                         bias,
                         {out.data(), rows, w.packed.rows}};
  MatMul({&job, 1}, context);
  return out;
}

// Eight panels, which are multiplied with few rows of x side by side. The last
// is not full.
inline constexpr size_t kEightPanels = 127;

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SUPPORT_PRODUCTS_H_
