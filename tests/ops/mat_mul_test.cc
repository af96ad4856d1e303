// Compares matrix products with double precision and with each other.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "compression/codec.h"
#include "compression/pack.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/support/for_each_target.h"
#include "tests/support/near.h"
#include "tests/support/products.h"
#include "tests/support/test_matrix.h"

namespace gemma::internal {
namespace {

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
