// Products of activations that are rounded to bfloat16.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "compression/codec.h"
#include "compression/half.h"
#include "gtest/gtest.h"
#include "ops/cpu.h"
#include "ops/ops.h"
#include "ops/products/bf16_tiles.h"
#include "tests/support/for_each_target.h"
#include "tests/support/near.h"
#include "tests/support/products.h"
#include "tests/support/test_matrix.h"
#include "tests/support/tile_trap.h"

namespace gemma::internal {
namespace {

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

}  // namespace
}  // namespace gemma::internal
