// Compares mixtures of experts with double precision and with the products of
// one expert.

#include "ops/experts.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/for_each_target.h"
#include "tests/support/near.h"
#include "tests/support/test_matrix.h"

namespace gemma::internal {
namespace {

using ::testing::ElementsAre;

// The chosen experts, and their weights.
struct Chosen {
  std::vector<uint32_t> experts;
  std::vector<float> weights;
};

Chosen ChosenOf(const std::vector<float>& logits, size_t used, float scale,
                const std::vector<float>& expert_scale) {
  std::vector<ExpertChoice> choices(used);
  ChooseExperts(logits, scale, expert_scale, choices);
  Chosen out;
  for (const ExpertChoice& choice : choices) {
    out.experts.push_back(choice.expert);
    out.weights.push_back(choice.weight);
  }
  return out;
}

TEST(ChooseExperts, WeighsLargestByIndex) {
  const std::vector<float> scales = {0.5f, 2, 3, -1, 5};
  const Chosen chosen = ChosenOf({1, 4, -2, 3, 2}, 3, 0.5f, scales);
  EXPECT_THAT(chosen.experts, ElementsAre(1, 3, 4));
  const double sum = std::exp(2.0) + std::exp(1.5) + std::exp(1.0);
  EXPECT_LT(RelativeError(chosen.weights,
                          std::vector<double>{2 * std::exp(2.0) / sum,
                                              -std::exp(1.5) / sum,
                                              5 * std::exp(1.0) / sum}),
            1e-6);
}

TEST(ChooseExperts, LowerIndexWinsTies) {
  const std::vector<float> scales(6, 1);
  EXPECT_THAT(ChosenOf({1, 3, 2, 3, 2, 2}, 3, 1, scales).experts,
              ElementsAre(1, 2, 3));
  EXPECT_THAT(ChosenOf({0, 0, 0, 0, 0, 0}, 2, 1, scales).experts,
              ElementsAre(0, 1));
  // Logits whose softmax is equal still differ.
  EXPECT_THAT(ChosenOf({-200, 0, -199, -201, -198, -300}, 3, 1, scales).experts,
              ElementsAre(1, 2, 4));
}

TEST(ChooseExperts, OneOrAllUsed) {
  EXPECT_EQ(ChosenOf({7}, 1, 1, {3}).weights, std::vector<float>{3});
  EXPECT_THAT(ChosenOf({1, 2, 1}, 1, 1, {1, 4, 1}).weights, ElementsAre(4));
  const Chosen all = ChosenOf({2, 2, 2, 2}, 4, 1, {1, 2, 3, 4});
  EXPECT_THAT(all.experts, ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(all.weights, ElementsAre(0.25f, 0.5f, 0.75f, 1));
}

// A logit that is not finite reaches the result even if it is not chosen.
TEST(ChooseExperts, KeepsNonFinite) {
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    for (const size_t at : {0, 1, 4}) {
      std::vector<float> logits = {1, 2, 3, 4, 5};
      logits[at] = bad;
      for (const float weight :
           ChosenOf(logits, 2, 1, std::vector<float>(5, 1)).weights) {
        EXPECT_TRUE(std::isnan(weight)) << bad << " at " << at;
      }
    }
  }
}

TEST(ExactMatMul, SameBitsAnyRows) {
  Workers workers(3);
  const TestMatrix w(Format::kBF16, 70, 96, 1);
  const std::vector<float> x = RandomVector(40 * 96, 2);
  ForEachTarget([&] {
    std::vector<float> all(40 * 70);
    MatMulInline({{x.data(), 40, 96}, w.packed, {}, {all.data(), 40, 70}});
    for (const size_t rows : {1, 3, 40}) {
      std::vector<float> out(rows * 70);
      ExactMatMul({{x.data(), rows, 96}, w.packed, {}, {out.data(), rows, 70}},
                  workers);
      EXPECT_EQ(out, std::vector<float>(all.begin(), all.begin() + out.size()));
    }
  });
}

constexpr size_t kExperts = 5;

// Experts of random weights.
struct TestExperts {
  TestExperts(Format format, size_t dim, size_t hidden) {
    for (size_t e = 0; e < kExperts; ++e) {
      gate.emplace_back(format, hidden, dim, 10 + e);
      up.emplace_back(format, hidden, dim, 20 + e);
      down.emplace_back(format, dim, hidden, 30 + e);
    }
  }

  size_t dim() const { return down[0].packed.rows; }
  size_t hidden() const { return down[0].packed.cols; }

  std::vector<TestMatrix> gate, up, down;
};

// A pass of rows, each of which uses `used` experts.
struct Pass {
  // Row r uses the experts (stride * r + i) % kExperts for i < used.
  Pass(const TestExperts& weights, size_t num_rows, size_t used,
       size_t stride = 1)
      : rows(num_rows),
        x(RandomVector(num_rows * weights.dim(), 4)),
        factor(RandomVector(num_rows * used, 5)),
        experts_of(num_rows) {
    for (size_t e = 0; e < kExperts; ++e) {
      Expert expert = {weights.gate[e].packed, weights.up[e].packed,
                       weights.down[e].packed, row.size(), 0};
      for (size_t r = 0; r < num_rows; ++r) {
        const size_t i = (e + stride * kExperts * r - stride * r) % kExperts;
        if (i >= used) continue;
        ++expert.count;
        row.push_back(static_cast<uint32_t>(r));
        slot.push_back(static_cast<uint32_t>(r * used + i));
        weight.push_back(factor[r * used + i]);
        experts_of[r].push_back(e);
      }
      if (expert.count != 0) experts.push_back(expert);
    }
    // An outlier in most rows.
    for (size_t r = 0; r < num_rows; ++r) {
      if (r % 4 != 3) x[r * weights.dim() + 7 * r % weights.dim()] *= 20.0f;
    }
  }

  size_t rows;
  std::vector<float> x;
  std::vector<float> factor;                    // of each slot
  std::vector<std::vector<size_t>> experts_of;  // of each row
  std::vector<Expert> experts;
  std::vector<uint32_t> row, slot;
  std::vector<float> weight;
};

struct Results {
  std::vector<float> hidden, out;
};

Results Compute(const TestExperts& weights, const Pass& pass,
                Arithmetic arithmetic, size_t pass_rows, Workers& workers) {
  const size_t uses = pass.row.size();
  Results results = {std::vector<float>(uses * weights.hidden(), NAN),
                     std::vector<float>(pass.rows * weights.dim(), NAN)};
  MatMulContext context(arithmetic,
                        ExpertsBytes(pass.rows, uses / pass.rows, weights.dim(),
                                     weights.hidden()),
                        workers);
  context.SetPassRows(pass_rows);
  const ExpertsJob job = {pass.experts,
                          pass.row,
                          pass.slot,
                          pass.weight,
                          {pass.x.data(), pass.rows, weights.dim()},
                          {results.hidden.data(), uses, weights.hidden()},
                          {results.out.data(), pass.rows, weights.dim()}};
  GatedExperts(job, context);
  SumExperts(job, context);
  return results;
}

std::vector<double> Product(const TestMatrix& w, const double* x) {
  std::vector<double> out(w.packed.rows, 0.0);
  for (size_t r = 0; r < w.packed.rows; ++r) {
    for (size_t c = 0; c < w.packed.cols; ++c) {
      out[r] += w.values[r * w.packed.cols + c] * x[c];
    }
  }
  return out;
}

// The sum of the row's experts in double precision.
std::vector<double> ExpectedRow(const TestExperts& weights, const Pass& pass,
                                size_t row) {
  std::vector<double> x(weights.dim());
  std::copy_n(pass.x.begin() + row * x.size(), x.size(), x.begin());
  std::vector<double> sum(weights.dim(), 0.0);
  for (size_t use = 0; use < pass.row.size(); ++use) {
    if (pass.row[use] != row) continue;
    size_t e = 0;
    while (use >= pass.experts[e].begin + pass.experts[e].count) ++e;
    // experts skips those without rows.
    size_t index = 0;
    while (weights.gate[index].packed.data != pass.experts[e].gate.data) {
      ++index;
    }
    std::vector<double> gate = Product(weights.gate[index], x.data());
    const std::vector<double> up = Product(weights.up[index], x.data());
    for (size_t i = 0; i < gate.size(); ++i) {
      const double z = gate[i];
      gate[i] =
          0.5 * z *
          (1 + std::tanh(std::sqrt(2 / M_PI) * (z + 0.044715 * z * z * z))) *
          up[i];
    }
    const std::vector<double> down = Product(weights.down[index], gate.data());
    for (size_t i = 0; i < down.size(); ++i) {
      sum[i] += pass.weight[use] * down[i];
    }
  }
  return sum;
}

TEST(Experts, MatchDoublePrecision) {
  Workers workers(2);
  struct Case {
    Format format;
    size_t dim, hidden, rows, used, stride;
  };
  // Odd widths, one expert used, all used, all rows with the same experts, an
  // expert without rows, more rows than a piece.
  for (const Case& c : {Case{Format::kF32, 37, 21, 7, 2, 1},
                        Case{Format::kF32, 40, 150, 1, 3, 1},
                        Case{Format::kBF16, 33, 17, 9, 1, 0},
                        Case{Format::kQ8_0, 64, 96, 9, kExperts, 1},
                        Case{Format::kQ4_0, 96, 64, 20, 2, 5},
                        Case{Format::kF32, 20, 18, 300, 2, 1}}) {
    const TestExperts weights(c.format, c.dim, c.hidden);
    const Pass pass(weights, c.rows, c.used, c.stride);
    std::vector<double> expected;
    for (size_t row = 0; row < c.rows; ++row) {
      const std::vector<double> sum = ExpectedRow(weights, pass, row);
      expected.insert(expected.end(), sum.begin(), sum.end());
    }
    ForEachTarget([&] {
      const std::vector<float> out =
          Compute(weights, pass, Arithmetic::kFloat32, 0, workers).out;
      EXPECT_LT(RelativeError(out, expected), 2e-6) << FormatName(c.format);
    });
  }
}

// Returns what products with one expert give the rows, a pass of `pass_rows`
// rows given.
Results OneByOne(const TestExperts& weights, const Pass& pass,
                 Arithmetic arithmetic, size_t pass_rows, Workers& workers) {
  const size_t used = pass.row.size() / pass.rows;
  const size_t dim = weights.dim();
  const size_t hidden = weights.hidden();
  MatMulContext context(arithmetic, 1, std::max(dim, hidden), workers);
  context.SetPassRows(pass_rows);
  Results results = {std::vector<float>(pass.rows * used * hidden),
                     std::vector<float>(pass.rows * dim)};
  for (const Expert& expert : pass.experts) {
    for (size_t i = 0; i < expert.count; ++i) {
      const size_t use = expert.begin + i;
      float* gated = results.hidden.data() + pass.slot[use] * hidden;
      std::vector<float> scratch(hidden), down(dim);
      GatedMatMul({{pass.x.data() + pass.row[use] * dim, 1, dim},
                   expert.gate,
                   expert.up,
                   {},
                   {},
                   {scratch.data(), 1, hidden},
                   {gated, 1, hidden}},
                  context);
      const MatMulJob job = {
          {gated, 1, hidden}, expert.down, {}, {down.data(), 1, dim}};
      MatMul({&job, 1}, context);
      AddScaledTo(pass.weight[use], down,
                  {results.out.data() + pass.row[use] * dim, dim});
    }
  }
  return results;
}

// Random weights of some formats are so large that results are not finite:
// makes NaN equal to NaN.
std::vector<float> Comparable(std::vector<float> values) {
  for (float& value : values) {
    if (std::isnan(value)) value = 0.125f;
  }
  return values;
}

// Expects the bits of products with one expert, in a pass of `pass_rows` rows.
void ExpectSameBits(const TestExperts& weights, const Pass& pass,
                    Arithmetic arithmetic, size_t pass_rows) {
  SCOPED_TRACE(testing::Message() << pass.rows << " rows of " << pass_rows
                                  << ", " << static_cast<int>(arithmetic));
  Workers one(1);
  Workers three(3);
  ForEachTarget([&] {
    const Results expected =
        OneByOne(weights, pass, arithmetic, pass_rows, one);
    // Without a number, the rows of x are those of the pass.
    const Results actual =
        Compute(weights, pass, arithmetic,
                pass_rows == pass.rows ? 0 : pass_rows, three);
    EXPECT_EQ(Comparable(actual.hidden), Comparable(expected.hidden));
    EXPECT_EQ(Comparable(actual.out), Comparable(expected.out));
  });
}

TEST(Experts, EqualSingleProducts) {
  for (const Format format : kAllFormats) {
    SCOPED_TRACE(FormatName(format));
    const size_t size = BlockValues(format) == 256 ? 256 : 192;
    const TestExperts weights(format, size, size);
    const Pass pass(weights, 6, 2, 2);
    for (const Arithmetic arithmetic :
         {Arithmetic::kFloat32, Arithmetic::kInt8}) {
      ExpectSameBits(weights, pass, arithmetic, 6);
    }
  }
}

// More rows than the outliers that are multiplied together, with one expert and
// with several.
TEST(Experts, OutliersOfManyRows) {
  const TestExperts weights(Format::kQ4_0, 192, 160);
  for (const size_t stride : {0, 1}) {
    const Pass pass(weights, 150, 1, stride);
    ExpectSameBits(weights, pass, Arithmetic::kInt8, 150);
  }
}

// The rows of the pass choose the arithmetic, not those of an expert.
TEST(Experts, PassRowsChooseArithmetic) {
  for (const Format format : {Format::kBF16, Format::kQ4_0}) {
    SCOPED_TRACE(FormatName(format));
    const TestExperts weights(format, 96, 160);
    for (const size_t rows : {size_t{1}, size_t{12}, kMinTileRows + 1}) {
      const Pass pass(weights, rows, 2);
      for (const size_t pass_rows : {rows, kMinTileRows, size_t{3}}) {
        ExpectSameBits(weights, pass, Arithmetic::kFastest, pass_rows);
      }
    }
  }
}

// One row costs one division of the gates and one of the results, not one for
// each expert.
TEST(Experts, JoinOnceForAll) {
  Workers workers(2);
  const TestExperts weights(Format::kQ4_0, 256, 256);
  const Pass pass(weights, 1, 4);
  const uint64_t joins = workers.num_joins();
  Compute(weights, pass, Arithmetic::kInt8, 0, workers);
  // And one that rounds the experts' hidden values.
  EXPECT_EQ(workers.num_joins(), joins + 3);
}

}  // namespace
}  // namespace gemma::internal
