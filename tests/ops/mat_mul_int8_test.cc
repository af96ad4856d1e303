// Products of activations that are rounded to int8, except outliers.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "compression/codec.h"
#include "gtest/gtest.h"
#include "hwy/base.h"
#include "hwy/targets.h"
#include "ops/ops.h"
#include "ops/products/panel_reads.h"
#include "tests/support/for_each_target.h"
#include "tests/support/near.h"
#include "tests/support/products.h"
#include "tests/support/test_matrix.h"

namespace gemma::internal {
namespace {

// Returns rows of x as Arithmetic::kInt8 rounds them: see QuantizeRow.
std::vector<float> RoundedToInt8(const std::vector<float>& x, size_t cols) {
  std::vector<float> rounded(x.size());
  for (size_t row = 0; row < x.size(); row += cols) {
    float sum = 0;
    for (size_t begin = row; begin < row + cols; begin += 32) {
      float largest = 0;
      for (size_t i = 0; i < 32; ++i) {
        largest = std::max(largest, std::abs(x[begin + i]));
      }
      sum += largest;
    }
    const float threshold = sum * (2.25f / static_cast<float>(cols / 32));
    size_t num_outliers = 0;
    for (size_t begin = row; begin < row + cols; begin += 32) {
      bool is_outlier[32];
      float largest = 0;
      for (size_t i = 0; i < 32; ++i) {
        const float magnitude = std::abs(x[begin + i]);
        is_outlier[i] = magnitude > threshold && num_outliers < cols / 16;
        num_outliers += is_outlier[i];
        if (!is_outlier[i]) largest = std::max(largest, magnitude);
      }
      const float scale = hwy::BitCastScalar<float>(
          hwy::BitCastScalar<uint32_t>(largest / 127.0f) & ~uint32_t{0x7F});
      const float inverse = scale > 0 ? 1.0f / scale : 0.0f;
      for (size_t i = 0; i < 32; ++i) {
        const float value = x[begin + i];
        rounded[begin + i] =
            is_outlier[i] ? value : scale * std::nearbyint(value * inverse);
      }
    }
  }
  return rounded;
}

// Returns whether the current target fuses multiply-adds: all targets except
// x86's baseline do.
bool HasFma() {
  return hwy::SupportedTargets() & (HWY_AVX2 | HWY_AVX3_DL | HWY_ALL_NEON);
}

// The products of the rounded x are nearly exact, and the same bits on every
// target, for any number of rows and threads.
TEST(MatMul, Int8RoundsOnlyActivations) {
  Workers one(1);
  Workers three(3);
  constexpr size_t kRows = 15;  // computed 8, 4, 2 and 1 at a time
  for (const Format format : kAllFormats) {
    const size_t cols = WideCols(format);
    for (const size_t w_rows : {size_t{1}, size_t{15}, kEightPanels}) {
      const TestMatrix w(format, w_rows, cols, w_rows);
      const std::vector<float> bias = RandomVector(w_rows, 3);
      std::vector<float> x = RandomVector(kRows * cols, 4);
      std::fill(x.begin(), x.begin() + 32, 0.0f);
      for (size_t r = 1; r < kRows; ++r) x[r * cols + 37 * r % cols] *= 40.0f;
      const bool quantized = TraitsOf(w.packed.layout).code_bits != 0;
      const Expected expected(quantized ? RoundedToInt8(x, cols) : x, kRows, w,
                              bias);
      std::vector<float> first;
      ForEachTarget([&] {
        const std::vector<float> all =
            Product(x, kRows, w, bias, one, Arithmetic::kInt8);
        EXPECT_LT(expected.Error(all), 2e-6) << FormatName(format);
        EXPECT_EQ(Product(x, kRows, w, bias, three, Arithmetic::kInt8), all);
        if (quantized && HasFma()) {
          if (first.empty()) first = all;
          EXPECT_EQ(all, first) << FormatName(format);
        }
        for (size_t row = 0; row < kRows; ++row) {
          const std::vector<float> one_x(x.begin() + row * cols,
                                         x.begin() + (row + 1) * cols);
          const std::vector<float> one_row(all.begin() + row * w_rows,
                                           all.begin() + (row + 1) * w_rows);
          EXPECT_EQ(Product(one_x, 1, w, bias, three, Arithmetic::kInt8),
                    one_row)
              << FormatName(format) << " row " << row;
        }
      });
    }
  }
}

// Compares products of rows with outliers with double precision, with every
// target, and some rows with themselves alone.
void CheckOutliers(const std::vector<float>& x, size_t cols,
                   const std::vector<Format>& formats,
                   const std::vector<size_t>& alone) {
  Workers workers(2);
  constexpr size_t kWeightRows = 100;  // tasks of three and four panels
  const size_t num_rows = x.size() / cols;
  const std::vector<float> rounded = RoundedToInt8(x, cols);
  for (const Format format : formats) {
    const TestMatrix w(format, kWeightRows, cols, 5);
    const std::vector<float> bias = RandomVector(kWeightRows, 6);
    const Expected expected(rounded, num_rows, w, bias);
    std::vector<float> first;
    ForEachTarget([&] {
      const std::vector<float> all =
          Product(x, num_rows, w, bias, workers, Arithmetic::kInt8);
      EXPECT_LT(expected.Error(all), 2e-6) << FormatName(format);
      if (HasFma()) {
        if (first.empty()) first = all;
        EXPECT_EQ(all, first) << FormatName(format);
      }
      for (const size_t row : alone) {
        const std::vector<float> one_x(x.begin() + row * cols,
                                       x.begin() + (row + 1) * cols);
        const std::vector<float> one_row(all.begin() + row * kWeightRows,
                                         all.begin() + (row + 1) * kWeightRows);
        EXPECT_EQ(Product(one_x, 1, w, bias, workers, Arithmetic::kInt8),
                  one_row)
            << FormatName(format) << " row " << row;
      }
    });
  }
}

// More rows, and more columns with outliers, than are computed together, and a
// row with so many that some are rounded.
TEST(MatMul, OutliersOfManyRows) {
  constexpr size_t kRows = 150;
  constexpr size_t kCols = 1024;
  std::vector<float> x = RandomVector(kRows * kCols, 4);
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t i = 0; i < r % 4; ++i) {
      x[r * kCols + (97 * r + 641 * i) % kCols] = i % 2 == 0 ? 40.0f : -9.0f;
    }
  }
  float* const many = x.data() + 5 * kCols;
  for (size_t c = 0; c < kCols; ++c) {
    many[c] *= c % 512 < 60 ? 100.0f : 0.01f;
  }
  CheckOutliers(x, kCols,
                {Format::kQ4_0, Format::kQ5_0, Format::kQ4_K, Format::kQ6_K,
                 Format::kQ8_0},
                {0, 3, 5, 127, 128, 149});
}

// If few rows have outliers, the others keep the results that the kernel wrote.
TEST(MatMul, OutliersOfFewRows) {
  constexpr size_t kRows = 150;
  constexpr size_t kCols = 256;
  std::vector<float> x = RandomVector(kRows * kCols, 4);
  for (const size_t r : {3, 70, 127, 128, 149}) {
    x[r * kCols + 2 * r % kCols] = 40.0f;
  }
  CheckOutliers(x, kCols, {Format::kQ4_0, Format::kQ4_K},
                {0, 3, 127, 128, 148, 149});
}

// One panel after the other, all of them side by side, and ways between;
// fetched ahead by less than a tile and by more than a panel.
constexpr PanelReads kPanelReads[] = {
    {1, 4096}, {1, 64}, {3, 1}, kSideBySide, {8, 1 << 20}};

template <class Body>
void ForEachPanelReads(Body body) {
  const PanelReads chosen = GetPanelReads();
  for (const PanelReads& reads : kPanelReads) {
    SCOPED_TRACE(testing::Message() << reads.streams << " streams, "
                                    << reads.ahead_bytes << " bytes ahead");
    SetPanelReadsForTest(reads);
    body();
  }
  SetPanelReadsForTest(chosen);
}

TEST(MatMul, PanelReadsKeepBits) {
  Workers workers(1);
  for (const Format format : kAllFormats) {
    const size_t cols = WideCols(format);
    const TestMatrix w(format, kEightPanels, cols, 5);
    for (const size_t rows : {1, 2, 4, 8}) {
      const std::vector<float> x = RandomVector(rows * cols, rows);
      ForEachTarget([&] {
        const std::vector<float> expected =
            Product(x, rows, w, {}, workers, Arithmetic::kInt8);
        ForEachPanelReads([&] {
          EXPECT_EQ(Product(x, rows, w, {}, workers, Arithmetic::kInt8),
                    expected)
              << FormatName(format) << ", " << rows << " rows";
        });
      });
    }
  }
}

// A NaN anywhere in a vector must reach the result.
TEST(MatMul, Int8KeepsNonFinite) {
  Workers workers(1);
  const TestMatrix w(Format::kQ4_0, 16, 64, 1);
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    for (const size_t at : {0, 7, 17, 31, 32, 63}) {
      std::vector<float> x = RandomVector(64, 2);
      x[at] = bad;
      ForEachTarget([&] {
        for (const float value :
             Product(x, 1, w, {}, workers, Arithmetic::kInt8)) {
          EXPECT_TRUE(std::isnan(value)) << bad << " at " << at;
        }
      });
    }
  }
}

// The inverse of the scale of such a block would be infinite.
TEST(MatMul, Int8DropsTinyValues) {
  Workers workers(1);
  const TestMatrix w(Format::kQ8_0, 16, 64, 1);
  for (const float largest : {1e-37f, 1e-40f}) {
    std::vector<float> x(64, 0.0f);
    x[3] = largest;
    x[40] = -largest / 2;
    ForEachTarget([&] {
      EXPECT_EQ(Product(x, 1, w, {}, workers, Arithmetic::kInt8),
                std::vector<float>(16))
          << largest;
    });
  }
}

// Sums of products in 16 bits must not saturate, even for extreme codes.
TEST(MatMul, Int8SumsNeverSaturate) {
  Workers workers(1);
  for (const Format format : kAllFormats) {
    const size_t cols = BlockValues(format) == 256 ? 256 : 64;
    for (const int byte : {0x00, 0x7F, 0x80, 0xFF}) {
      TestMatrix w(format, 16, cols, 1, byte);
      for (const float x_value : {-1.0f, 1.0f}) {
        const std::vector<float> x(2 * cols, x_value);
        const Expected expected(x, 2, w, {});
        ForEachTarget([&] {
          EXPECT_LT(
              expected.Error(Product(x, 2, w, {}, workers, Arithmetic::kInt8)),
              2e-6)
              << FormatName(format) << " of bytes " << byte;
        });
      }
    }
  }
}

}  // namespace
}  // namespace gemma::internal
