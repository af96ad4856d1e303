// Compares matrix products with double precision and with each other.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <random>
#include <vector>

#include "compression/codec.h"
#include "compression/half.h"
#include "compression/pack.h"
#include "gtest/gtest.h"
#include "hwy/base.h"
#include "ops/aligned_buffer.h"
#include "ops/cpu.h"
#include "ops/ops.h"
#include "ops/products/bf16_tiles.h"
#include "ops/products/panel_reads.h"
#include "tests/support/for_each_target.h"
#include "tests/support/near.h"
#include "tests/support/test_matrix.h"
#include "tests/support/tile_trap.h"

namespace gemma::internal {
namespace {

// Returns a width of several blocks that is no multiple of 64 if the format
// allows that.
size_t WideCols(Format format) {
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

std::vector<float> Product(const std::vector<float>& x, size_t rows,
                           const TestMatrix& w, const std::vector<float>& bias,
                           Workers& workers,
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

TEST(MatMul, MatchesDoublePrecision) {
  Workers workers(2);
  for (const Format format : kAllFormats) {
    const size_t step = BlockValues(format);
    for (const size_t w_rows : {1, 15, 16, 17, 70}) {
      const size_t cols = step == 1 ? 37 : WideCols(format);
      const TestMatrix w(format, w_rows, cols, w_rows);
      const std::vector<float> bias = RandomVector(w_rows, 3);
      for (const size_t rows : {1, 2, 3, 13}) {
        const std::vector<float> x = RandomVector(rows * cols, rows);
        const Expected expected(x, rows, w, bias);
        ForEachTarget([&] {
          EXPECT_LT(expected.Error(Product(x, rows, w, bias, workers)), 2e-6)
              << FormatName(format) << " [" << w_rows << ", " << cols << "], "
              << rows << " rows";
        });
      }
    }
  }
}

// Eight panels, which are multiplied with few rows of x side by side. The last
// is not full.
constexpr size_t kEightPanels = 127;

// A row's result depends on neither the number of rows nor the threads.
TEST(MatMul, SameBitsAnyRows) {
  Workers one(1);
  Workers three(3);
  constexpr size_t kRows = 29;
  for (const Format format : kAllFormats) {
    const size_t cols = WideCols(format);
    const TestMatrix w(format, kEightPanels, cols, 5);
    const std::vector<float> bias = RandomVector(kEightPanels, 6);
    const std::vector<float> x = RandomVector(kRows * cols, 7);
    ForEachTarget([&] {
      const std::vector<float> all = Product(x, kRows, w, bias, one);
      EXPECT_EQ(Product(x, kRows, w, bias, three), all) << FormatName(format);
      const auto expect_rows = [&](size_t row, size_t count, Workers& workers) {
        const std::vector<float> some_x(x.begin() + row * cols,
                                        x.begin() + (row + count) * cols);
        const std::vector<float> some(
            all.begin() + row * kEightPanels,
            all.begin() + (row + count) * kEightPanels);
        EXPECT_EQ(Product(some_x, count, w, bias, workers), some)
            << FormatName(format) << " " << count << " rows from " << row;
      };
      for (size_t row = 0; row < kRows; ++row) {
        expect_rows(row, 1, row % 2 == 0 ? one : three);
      }
      for (const size_t count : {2, 4, 7, 8, 9}) expect_rows(3, count, one);
    });
  }
}

// Chosen panels equal those of MatMul, and nothing else is written.
TEST(MatMulPanels, EqualsMatMul) {
  Workers workers(3);
  constexpr size_t kRows = 6 * kPanelRows + 5;  // the last panel is partial
  const std::vector<std::vector<size_t>> choices = {
      {}, {0}, {6}, {1, 2, 5}, {6, 0, 3}, {0, 1, 2, 3, 4, 5, 6}};
  for (const Format format : kAllFormats) {
    const size_t cols = WideCols(format);
    const TestMatrix w(format, kRows, cols, 15);
    const std::vector<float> bias = RandomVector(kRows, 16);
    const std::vector<float> x = RandomVector(cols, 17);
    ForEachTarget([&] {
      for (const Arithmetic arithmetic :
           {Arithmetic::kFloat32, Arithmetic::kInt8, Arithmetic::kFastest}) {
        MatMulContext context(arithmetic, 1, cols, workers);
        std::vector<float> all(kRows, NAN);
        MatMulJob job = {
            {x.data(), 1, cols}, w.packed, bias, {all.data(), 1, kRows}};
        MatMul({&job, 1}, context);
        for (const std::vector<size_t>& panels : choices) {
          std::vector<float> some(kRows, 7.0f);
          job.out.data = some.data();
          MatMulPanels(job, panels, context);
          std::vector<float> expected(kRows, 7.0f);
          for (const size_t panel : panels) {
            const size_t begin = panel * kPanelRows;
            const size_t end = std::min(begin + kPanelRows, kRows);
            std::copy(all.begin() + begin, all.begin() + end,
                      expected.begin() + begin);
          }
          EXPECT_EQ(some, expected) << FormatName(format);
        }
      }
    });
  }
}

// A quantized matrix gives the same bits as its dequantized values.
TEST(MatMul, SameBitsWhenDequantized) {
  Workers workers(1);
  for (const Format format : kAllFormats) {
    const size_t cols = WideCols(format);
    const TestMatrix w(format, 50, cols, 8);
    TestMatrix plain(Format::kF32, 50, cols, 9);
    const WeightView view = {Format::kF32, 50, cols,
                             reinterpret_cast<const uint8_t*>(w.values.data())};
    PackPanels(view, plain.packed.layout, 0, plain.packed.NumPanels(),
               plain.memory.data());
    for (const size_t rows : {1, 4}) {
      const std::vector<float> x = RandomVector(rows * cols, 10);
      ForEachTarget([&] {
        EXPECT_EQ(Product(x, rows, w, {}, workers),
                  Product(x, rows, plain, {}, workers))
            << FormatName(format) << ", " << rows << " rows";
      });
    }
  }
}

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

// Runs a test with every kernel for bfloat16 weights that this CPU can run.
template <class Body>
void WithEveryBf16Kernel(Body body) {
  body();
  SCOPED_TRACE("without AMX");
  const bool has_amx = HasAmxBf16();
  SetCpuForTest(FeaturesOfCpu() & ~kAmxBf16);
  if (has_amx) body();
  if (HasAvx512Bf16()) {
    SCOPED_TRACE("of another maker");
    SetAmdForTest(!IsAmd());
    body();
    SetAmdForTest(std::nullopt);
  }
  SetCpuForTest(std::nullopt);
}

// Many rows are computed in bfloat16, if this CPU has instructions for it: both
// operands are rounded to 8 bits of significand.
TEST(MatMul, FastestRoundsToBfloat16) {
  Workers workers(2);
  constexpr size_t kRows = 70;
  constexpr size_t kWRows = 99;  // the last of 7 panels has 3
  for (const Format format : kAllFormats) {
    for (const size_t cols : {256, 768}) {
      const TestMatrix w(format, kWRows, cols, 5);
      const std::vector<float> bias = RandomVector(kWRows, 6);
      const std::vector<float> x = RandomVector(kRows * cols, 7);
      const Expected expected(x, kRows, w, bias);
      const auto check = [&] {
        const std::vector<float> all =
            Product(x, kRows, w, bias, workers, Arithmetic::kFastest);
        EXPECT_LT(expected.Error(all), 2.0 / 256) << FormatName(format);
        // Any number of many rows gives the same bits.
        const std::vector<float> most(x.begin(), x.begin() + 40 * cols);
        EXPECT_EQ(Product(most, 40, w, bias, workers, Arithmetic::kFastest),
                  std::vector<float>(all.begin(), all.begin() + 40 * kWRows))
            << FormatName(format);
      };
      if (w.packed.layout == Layout::kBF16) {
        WithEveryBf16Kernel([&] { ForEachTarget(check); });
      } else {
        ForEachTarget(check);
      }
    }
  }
}

// Without instructions that are faster for bfloat16, x is not rounded: many
// rows have the bits of one.
TEST(MatMul, ExactWithoutBfloat16Dots) {
  Workers workers(2);
  constexpr size_t kRows = 70;
  const TestMatrix w(Format::kBF16, 99, 768, 5);
  const std::vector<float> x = RandomVector(kRows * 768, 7);
  SetCpuForTest(FeaturesOfCpu() & ~kAmxBf16);
  SetAmdForTest(false);
  ForEachTarget([&] {
    const std::vector<float> all =
        Product(x, kRows, w, {}, workers, Arithmetic::kFastest);
    EXPECT_EQ(all, Product(x, kRows, w, {}, workers, Arithmetic::kFloat32));
    for (size_t row = 0; row < kRows; row += 23) {
      const std::vector<float> one_x(x.begin() + row * 768,
                                     x.begin() + (row + 1) * 768);
      EXPECT_EQ(Product(one_x, 1, w, {}, workers, Arithmetic::kFastest),
                std::vector<float>(all.begin() + row * 99,
                                   all.begin() + (row + 1) * 99));
    }
  });
  SetAmdForTest(std::nullopt);
  SetCpuForTest(std::nullopt);
}

// Some rows of a pass have the bits that they have among all its rows.
TEST(MatMul, PassRowsChooseArithmetic) {
  Workers workers(2);
  constexpr size_t kRows = 40;
  for (const Format format : {Format::kBF16, Format::kQ4_0}) {
    const TestMatrix w(format, 40, 256, 5);
    const std::vector<float> x = RandomVector(kRows * 256, 7);
    const auto product = [&](size_t rows, size_t pass_rows) {
      std::vector<float> out(rows * 40);
      MatMulContext context(Arithmetic::kFastest, rows, 256, workers);
      context.SetPassRows(pass_rows);
      const MatMulJob job = {
          {x.data(), rows, 256}, w.packed, {}, {out.data(), rows, 40}};
      MatMul({&job, 1}, context);
      return out;
    };
    const auto check = [&] {
      const std::vector<float> many = product(kRows, 0);
      const std::vector<float> few = product(3, 0);
      std::vector<float> first = many;
      first.resize(few.size());
      EXPECT_EQ(product(3, kRows), first) << FormatName(format);
      first = product(kRows, 3);
      first.resize(few.size());
      EXPECT_EQ(first, few) << FormatName(format);
      EXPECT_EQ(product(kRows, kMinTileRows), many) << FormatName(format);
    };
    WithEveryBf16Kernel([&] { ForEachTarget(check); });
  }
}

// Jobs of one call may round x differently: on some CPUs, to int8 for one and
// to bfloat16 for the other.
TEST(MatMul, FastestOfSeveralFormats) {
  Workers workers(2);
  constexpr size_t kRows = 40;
  const TestMatrix a(Format::kQ4_0, 20, 64, 1);
  const TestMatrix b(Format::kBF16, 100, 64, 2);
  const std::vector<float> x = RandomVector(kRows * 64, 3);
  WithEveryBf16Kernel([&] {
    std::vector<float> out_a(kRows * 20), out_b(kRows * 100);
    const MatMulJob jobs[] = {
        {{x.data(), kRows, 64}, a.packed, {}, {out_a.data(), kRows, 20}},
        {{x.data(), kRows, 64}, b.packed, {}, {out_b.data(), kRows, 100}}};
    MatMulContext context(Arithmetic::kFastest, kRows, 64, workers);
    MatMul(jobs, context);
    EXPECT_EQ(out_a, Product(x, kRows, a, {}, workers, Arithmetic::kFastest));
    EXPECT_EQ(out_b, Product(x, kRows, b, {}, workers, Arithmetic::kFastest));
  });
}

// Operands of small integers, whose sums are exact in any order.
struct Bf16Operands {
  static constexpr size_t kRows = 64;
  static constexpr size_t kCols = 96;
  static constexpr size_t kStride = kCols + 32;

  Bf16Operands() : x((kRows - 1) * kStride + kCols) {
    std::mt19937 random(1);
    const auto number = [&] {
      return FloatToBF16(static_cast<float>(static_cast<int>(random() % 17)) -
                         8.0f);
    };
    for (uint16_t& v : x) v = number();
    for (std::vector<uint16_t>& panel : w) {
      for (size_t i = 0; i < kCols * 16; ++i) panel.push_back(number());
    }
  }

  Bf16Job Job(float* sums, bool first) const {
    return {x.data(), kStride, kRows, {w[0].data(), w[1].data()},
            kCols,    sums,    first};
  }

  // Returns the product of a row of x and row i of w.
  float Sum(size_t row, size_t i) const {
    float sum = 0;
    for (size_t col = 0; col < kCols; ++col) {
      sum += BF16ToFloat(x[row * kStride + col]) *
             BF16ToFloat(w[i / 16][(col / 2 * 16 + i % 16) * 2 + col % 2]);
    }
    return sum;
  }

  std::vector<uint16_t> x, w[2];
};

TEST(Bf16Tiles, EveryInstructionIsExact) {
  std::vector<void (*)(const Bf16Job&)> kinds;
#if GEMMA_HAS_TILE_TRAP
  const TileTrap trap;
  kinds.push_back(AmxTiles);
#endif
  if (HasAvx512Bf16()) {
    kinds.push_back([](const Bf16Job& job) { Avx512Bf16Tiles(job); });
  }
  const Bf16Operands operands;
  for (const auto kind : kinds) {
    for (const bool first : {true, false}) {
      std::vector<float> sums(Bf16Operands::kRows * 32, 3.0f);
      kind(operands.Job(sums.data(), first));
      for (size_t row = 0; row < Bf16Operands::kRows; ++row) {
        for (size_t i = 0; i < 32; ++i) {
          ASSERT_EQ(sums[row * 32 + i],
                    operands.Sum(row, i) + (first ? 0.0f : 3.0f))
              << row << ", " << i;
        }
      }
    }
  }
}

// The dot products' results may be part of a matrix: nothing else is written,
// and nothing after the bias is read.
TEST(Bf16Tiles, WritesOnlyResults) {
  if (!HasAvx512Bf16()) GTEST_SKIP() << "no AVX-512 BF16";
  const Bf16Operands operands;
  constexpr size_t kStride = 40;
  for (const size_t rows : {size_t{57}, Bf16Operands::kRows}) {
    for (const size_t cols : {1, 15, 16, 17, 32}) {
      for (const bool has_bias : {false, true}) {
        const std::vector<float> bias(has_bias ? cols : 0, 0.5f);
        std::vector<float> sums(Bf16Operands::kRows * 32, 3.0f);
        std::vector<float> result(Bf16Operands::kRows * kStride, 7.0f);
        const Bf16Out out = {result.data(), kStride, rows, cols,
                             has_bias ? bias.data() : nullptr};
        Avx512Bf16Tiles(operands.Job(sums.data(), /*first=*/false), &out);
        for (size_t row = 0; row < Bf16Operands::kRows; ++row) {
          for (size_t i = 0; i < kStride; ++i) {
            const float sum =
                row < rows && i < cols
                    ? operands.Sum(row, i) + (has_bias ? 3.5f : 3.0f)
                    : 7.0f;
            ASSERT_EQ(result[row * kStride + i], sum) << row << ", " << i;
          }
        }
      }
    }
  }
}

TEST(MatMul, SeveralJobsJoinOnce) {
  Workers workers(2);
  const TestMatrix a(Format::kF32, 20, 64, 1);
  const TestMatrix b(Format::kQ8_0, 100, 64, 2);
  const std::vector<float> x = RandomVector(3 * 64, 3);
  std::vector<float> out_a(3 * 20), out_b(3 * 100);
  const MatMulJob jobs[] = {
      {{x.data(), 3, 64}, a.packed, {}, {out_a.data(), 3, 20}},
      {{x.data(), 3, 64}, b.packed, {}, {out_b.data(), 3, 100}}};
  MatMulContext context(Arithmetic::kFloat32, 3, 64, workers);
  const uint64_t joins = workers.num_joins();
  MatMul(jobs, context);
  EXPECT_EQ(workers.num_joins(), joins + 1);
  EXPECT_EQ(out_a, Product(x, 3, a, {}, workers));
  EXPECT_EQ(out_b, Product(x, 3, b, {}, workers));
}

TEST(MatMul, InlineSameBits) {
  Workers workers(2);
  const TestMatrix w(Format::kBF16, 100, 70, 1);
  const std::vector<float> bias = RandomVector(100, 2);
  const std::vector<float> x = RandomVector(5 * 70, 3);
  std::vector<float> out(5 * 100);
  MatMulInline({{x.data(), 5, 70}, w.packed, bias, {out.data(), 5, 100}});
  EXPECT_EQ(out, Product(x, 5, w, bias, workers));
}

// More rows than wait for the activation at a time, and a panel that is not
// full.
TEST(GatedMatMul, EqualsProductsAndGelu) {
  Workers workers(2);
  constexpr size_t kCols = 192;
  const TestMatrix gate(Format::kQ4_0, 150, kCols, 1);
  const TestMatrix up(Format::kQ5_0, 150, kCols, 2);
  const std::vector<float> gate_bias = RandomVector(150, 3);
  for (const auto arithmetic : {Arithmetic::kFloat32, Arithmetic::kInt8}) {
    for (const size_t rows : {1, 7, 130}) {
      std::vector<float> x = RandomVector(rows * kCols, 4);
      for (size_t r = 0; r < rows; ++r) x[r * kCols + 7 * r % kCols] *= 20.0f;
      std::vector<float> expected =
          Product(x, rows, gate, gate_bias, workers, arithmetic);
      GatedGelu(expected, Product(x, rows, up, {}, workers, arithmetic));
      std::vector<float> scratch(rows * 150), out(rows * 150);
      MatMulContext context(arithmetic, rows, kCols, workers);
      GatedMatMul({{x.data(), rows, kCols},
                   gate.packed,
                   up.packed,
                   gate_bias,
                   {},
                   {scratch.data(), rows, 150},
                   {out.data(), rows, 150}},
                  context);
      EXPECT_EQ(out, expected) << rows << " rows";
    }
  }
}

TEST(Embed, GivesScaledRows) {
  for (const Format format : kAllFormats) {
    const size_t cols = WideCols(format);
    const TestMatrix table(format, 37, cols, 11);
    std::vector<float> out(cols);
    for (const size_t row : {0, 15, 16, 36}) {
      Embed(table.packed, row, 1.5f, out);
      for (size_t c = 0; c < cols; ++c) {
        EXPECT_EQ(out[c], 1.5f * table.values[row * cols + c])
            << FormatName(format) << " row " << row << " col " << c;
      }
    }
  }
}

}  // namespace
}  // namespace gemma::internal
