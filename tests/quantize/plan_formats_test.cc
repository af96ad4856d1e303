#include "src/quantize/plan_formats.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "compression/codec.h"
#include "compression/quantize.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/model/tensors/wanted_format.h"
#include "tests/support/error_of.h"

namespace gemma::internal {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::StartsWith;

using Values = std::vector<float>;

constexpr Format kLadder[] = {Format::kN4_32, Format::kN4_16, Format::kN5_16,
                              Format::kN6_16, Format::kQ8_0,  Format::kBF16};

// A matrix or vector of float32, and its place in a model.
struct Weight {
  WeightRole role;
  size_t rows, cols;  // a vector has 0 rows
  Values values;
};

Weight Gaussian(WeightRole role, size_t rows, size_t cols, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Weight weight = {role, rows, cols, Values(std::max<size_t>(1, rows) * cols)};
  for (float& value : weight.values) value = normal(random);
  return weight;
}

class PlannedModel {
 public:
  explicit PlannedModel(std::vector<Weight> weights)
      : weights_(std::move(weights)), tensors_(weights_.size()) {
    for (size_t i = 0; i < weights_.size(); ++i) {
      Weight& weight = weights_[i];
      const bool is_matrix = weight.rows != 0;
      Tensor& tensor = tensors_[i];
      tensor.shape = {weight.cols};
      if (is_matrix) tensor.shape = {weight.rows, weight.cols};
      tensor.data = reinterpret_cast<const uint8_t*>(weight.values.data());
      tensor.bytes = weight.values.size() * sizeof(float);
      tensor.file = "m.gguf";
      bound_.push_back(
          {{weight.role, i, is_matrix ? WeightKind::kMatrix : WeightKind::kNorm,
            tensor.shape},
           &tensor,
           "t" + std::to_string(i)});
    }
  }

  absl::StatusOr<std::vector<Format>> Plan(double bits,
                                           size_t threads = 2) const {
    Workers workers(threads);
    std::vector<FormatChoice> choices = choices_;
    for (const Weight& weight : weights_) {
      if (!choices_.empty()) break;
      choices.push_back(weight.rows == 0 ? FormatChoice{.fixed = Format::kF32}
                                         : FormatChoice{.ladder = kLadder});
    }
    return PlanFormats(bound_, choices, bits, workers);
  }

  std::vector<Format> PlanOrFail(double bits) const {
    const auto plan = Plan(bits);
    EXPECT_EQ(ErrorOf(plan), "OK") << bits;
    return plan.ok() ? *plan : std::vector<Format>(bound_.size());
  }

  // Replaces the choices of a ladder for each matrix.
  void SetChoices(std::vector<FormatChoice> choices) {
    choices_ = std::move(choices);
  }

  // Bits per weight, with vectors in float32.
  double Bits(const std::vector<Format>& formats) const {
    double bits = 0, values = 0;
    for (size_t i = 0; i < bound_.size(); ++i) {
      const auto count = static_cast<double>(weights_[i].values.size());
      values += count;
      bits += weights_[i].rows == 0
                  ? 32 * count
                  : count * BitsPerWeight(formats[i], weights_[i].cols);
    }
    return bits / values;
  }

  // Squared error of all matrices, relative to their squares.
  double Loss(const std::vector<Format>& formats) const {
    double loss = 0;
    for (size_t i = 0; i < bound_.size(); ++i) {
      if (weights_[i].rows != 0) loss += Error(RowsOf(tensors_[i]), formats[i]);
    }
    return loss;
  }

 private:
  static double Error(const WeightView& from, Format format) {
    if (format == from.format) return 0;
    WeightView to = {format, from.rows, from.cols, nullptr};
    std::vector<uint8_t> bytes(to.rows * to.RowBytes());
    to.data = bytes.data();
    EXPECT_EQ(QuantizeRows(from, format, {}, 0, to.rows, bytes.data()),
              std::nullopt);
    Values a(from.cols), b(from.cols);
    double error = 0, power = 0;
    for (size_t row = 0; row < from.rows; ++row) {
      DecodeRow(from, row, a.data());
      DecodeRow(to, row, b.data());
      for (size_t col = 0; col < from.cols; ++col) {
        error += std::pow(double{a[col]} - b[col], 2);
        power += std::pow(double{a[col]}, 2);
      }
    }
    return error / power;
  }

  std::vector<Weight> weights_;
  std::vector<Tensor> tensors_;
  std::vector<BoundWeight> bound_;
  std::vector<FormatChoice> choices_;
};

PlannedModel SmallModel() {
  return PlannedModel({
      Gaussian(WeightRole::kEmbedding, 100, 64, 1),
      Gaussian(WeightRole::kFinalNorm, 0, 64, 2),
      Gaussian(WeightRole::kQProj, 64, 64, 3),
      Gaussian(WeightRole::kVProj, 32, 64, 4),
      Gaussian(WeightRole::kDownProj, 64, 96, 5),
      Gaussian(WeightRole::kOProj, 64, 32, 6),
  });
}

TEST(PlanFormats, StaysWithinBudget) {
  const PlannedModel model = SmallModel();
  double before = 0;
  for (double bits = 5.0; bits < 33; bits *= 1.15) {
    const double taken = model.Bits(model.PlanOrFail(bits));
    EXPECT_LE(taken, bits);
    EXPECT_GE(taken, before);
    before = taken;
  }
  // With 32 bits, every matrix keeps its float32.
  EXPECT_THAT(model.PlanOrFail(32), Each(Format::kF32));
}

// All matrices have the same role and sensitivity, so only errors matter.
TEST(PlanFormats, MoreBitsLoseLess) {
  std::vector<Weight> weights;
  for (unsigned i = 0; i < 5; ++i) {
    weights.push_back(Gaussian(WeightRole::kUpProj, 48, 32 + 32 * i, i));
  }
  const PlannedModel model(std::move(weights));
  double before = HUGE_VAL;
  std::map<double, int> losses;
  for (double bits = 4.6; bits < 17; bits += 0.3) {
    const double loss = model.Loss(model.PlanOrFail(bits));
    EXPECT_LE(loss, before) << bits;
    before = loss;
    ++losses[loss];
  }
  EXPECT_GT(losses.size(), 10u);
}

TEST(PlanFormats, SamePlanAnyThreads) {
  const PlannedModel model = SmallModel();
  for (const double bits : {5.2, 6.0, 9.0}) {
    const std::vector<Format> expected = model.PlanOrFail(bits);
    for (const size_t threads : {1, 3, 4}) {
      const auto plan = model.Plan(bits, threads);
      ASSERT_EQ(ErrorOf(plan), "OK");
      EXPECT_EQ(*plan, expected);
    }
  }
}

// If two matrices have the same values, the one whose role matters more gets
// more bits.
TEST(PlanFormats, FavorsSensitiveRoles) {
  for (const auto& [more, less] :
       {std::pair(WeightRole::kVProj, WeightRole::kQProj),
        std::pair(WeightRole::kDownProj, WeightRole::kKProj),
        std::pair(WeightRole::kEmbedding, WeightRole::kGateProj)}) {
    const PlannedModel model({Gaussian(less, 64, 64), Gaussian(more, 64, 64)});
    size_t differ = 0;
    for (double bits = 4.6; bits < 16; bits += 0.2) {
      const std::vector<Format> plan = model.PlanOrFail(bits);
      EXPECT_GE(BitsPerWeight(plan[1], 64), BitsPerWeight(plan[0], 64)) << bits;
      differ += plan[0] != plan[1];
    }
    EXPECT_GT(differ, 5u);
  }
}

// Just too few bits for N5_16 everywhere. A few small matrices give way, not
// the table, because no other matrix could use the table's bits as well.
TEST(PlanFormats, LargeTableKeepsFormat) {
  std::vector<Weight> weights = {Gaussian(WeightRole::kEmbedding, 1000, 64, 1)};
  for (unsigned i = 0; i < 16; ++i) {
    weights.push_back(Gaussian(WeightRole::kUpProj, 32, 64, 2 + i));
  }
  const PlannedModel model(std::move(weights));
  const double bits = BitsPerWeight(Format::kN5_16, 64);
  const std::vector<Format> plan = model.PlanOrFail(bits - 0.01);
  EXPECT_EQ(plan[0], Format::kN5_16);
  EXPECT_THAT(std::vector<Format>(plan.begin() + 1, plan.end()),
              Contains(Format::kN5_16));
}

// Zeros lose nothing; the smallest floats may lose everything.
TEST(PlanFormats, NearlyZeroMatrices) {
  for (const float value : {0.0f, 1e-45f, 1e-38f}) {
    Weight nothing = Gaussian(WeightRole::kEmbedding, 1000, 64);
    nothing.values.assign(nothing.values.size(), value);
    const PlannedModel model(
        {std::move(nothing), Gaussian(WeightRole::kVProj, 64, 64)});
    for (const double bits : {4.6, 6.0, 20.0, 32.0}) {
      EXPECT_LE(model.Bits(model.PlanOrFail(bits)), bits) << value;
    }
  }
}

TEST(PlanFormats, RefusesTooSmallBudget) {
  const PlannedModel model = SmallModel();
  // Even if the vectors alone exceed the budget.
  for (const double bits : {0.01, 1.0, 4.0}) {
    const auto plan = model.Plan(bits);
    EXPECT_TRUE(absl::IsInvalidArgument(plan.status())) << plan.status();
  }
  EXPECT_THAT(ErrorOf(model.Plan(4)),
              StartsWith("4 bits for each weight are too few, the smallest "
                         "formats take "));
  // The number in the error is enough, up to rounding; less is not.
  const std::string error = ErrorOf(model.Plan(1));
  const double least = std::stod(error.substr(error.rfind(' ')));
  EXPECT_EQ(ErrorOf(model.Plan(least + 0.001)), "OK") << error;
  EXPECT_NE(ErrorOf(model.Plan(least - 0.001)), "OK") << error;
}

TEST(PlanFormats, RefusesNonFiniteRows) {
  for (const float value : {std::nanf(""), INFINITY, -INFINITY}) {
    Weight bad = Gaussian(WeightRole::kVProj, 64, 64);
    bad.values[64 * 5 + 7] = value;
    const PlannedModel model(
        {Gaussian(WeightRole::kQProj, 64, 64), std::move(bad)});
    const auto plan = model.Plan(6);
    EXPECT_TRUE(absl::IsInvalidArgument(plan.status())) << plan.status();
    EXPECT_THAT(ErrorOf(plan), AllOf(StartsWith("m.gguf: tensor 't1'"),
                                     HasSubstr("not finite")));
  }
}

// Rows that are not whole blocks become bfloat16, or stay.
TEST(PlanFormats, RowsOfNoBlocks) {
  const PlannedModel model({Gaussian(WeightRole::kUpProj, 64, 48),
                            Gaussian(WeightRole::kVProj, 64, 64)});
  EXPECT_EQ(model.PlanOrFail(11)[0], Format::kBF16);
  EXPECT_NE(ErrorOf(model.Plan(9)), "OK");
}

// Formats that are fixed count, whatever their loss.
TEST(PlanFormats, FixedFormatsCount) {
  PlannedModel model({Gaussian(WeightRole::kQProj, 64, 64, 1),
                      Gaussian(WeightRole::kVProj, 64, 64, 2)});
  model.SetChoices({{.fixed = Format::kQ4_0}, {.ladder = kLadder}});
  for (const double bits : {4.5, 6.5, 10.25}) {
    const std::vector<Format> formats = model.PlanOrFail(bits);
    EXPECT_EQ(formats[0], Format::kQ4_0);
    EXPECT_LE(model.Bits(formats), bits);
  }
  EXPECT_EQ(model.PlanOrFail(10.25)[1], Format::kBF16);
  model.SetChoices({{.fixed = Format::kF32}, {.ladder = kLadder}});
  EXPECT_THAT(ErrorOf(model.Plan(16)), HasSubstr("too few"));
}

// Experts are sampled where their matrices are: here, in the second half of
// each expert's rows. Those of the first half are not finite.
TEST(PlanFormats, SamplesExpertsOwnRows) {
  constexpr size_t kExperts = 3, kRows = 8, kCols = 32;
  const Weight rows =
      Gaussian(WeightRole::kExpertUp, kExperts * 2 * kRows, kCols);
  Values values = rows.values;
  for (size_t e = 0; e < kExperts; ++e) {
    std::fill_n(values.begin() + static_cast<ptrdiff_t>(2 * e * kRows * kCols),
                kRows * kCols, NAN);
  }
  Tensor tensor;
  tensor.shape = {kExperts, 2 * kRows, kCols};
  tensor.data = reinterpret_cast<const uint8_t*>(values.data());
  tensor.bytes = values.size() * sizeof(float);
  BoundWeight weight = {{WeightRole::kExpertUp,
                         0,
                         WeightKind::kExperts,
                         {kExperts, kRows, kCols}},
                        &tensor,
                        "t"};
  weight.first_row = kRows;
  weight.row_step = 2 * kRows;
  const FormatChoice choice = {.ladder = kLadder};
  Workers workers(1);
  const auto plan = PlanFormats({&weight, 1}, {&choice, 1}, 16, workers);
  ASSERT_EQ(ErrorOf(plan), "OK");
  EXPECT_EQ(plan->front(), Format::kBF16);
  weight.first_row = 0;
  EXPECT_THAT(ErrorOf(PlanFormats({&weight, 1}, {&choice, 1}, 16, workers)),
              HasSubstr("not finite"));
}

}  // namespace
}  // namespace gemma::internal
