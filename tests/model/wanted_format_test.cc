#include "src/model/tensors/wanted_format.h"

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "compression/codec.h"
#include "compression/half.h"
#include "compression/quantize.h"
#include "gtest/gtest.h"
#include "tests/support/error_of.h"

namespace gemma::internal {
namespace {

using Values = std::vector<float>;

constexpr size_t kRows = 20;

Values Gaussian(size_t count, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Values values(count);
  for (float& value : values) value = normal(random);
  return values;
}

// Rounds values in rows of `cols` to Q4_0.
Values OnGrid(const Values& values, size_t cols) {
  const size_t rows = values.size() / cols;
  const WeightView from = {Format::kF32, rows, cols,
                           reinterpret_cast<const uint8_t*>(values.data())};
  WeightView to = {Format::kQ4_0, rows, cols, nullptr};
  std::vector<uint8_t> bytes(rows * to.RowBytes());
  to.data = bytes.data();
  EXPECT_EQ(QuantizeRows(from, to.format, {}, 0, rows, bytes.data()),
            std::nullopt);
  Values out(values.size());
  for (size_t row = 0; row < rows; ++row) {
    DecodeRow(to, row, out.data() + row * cols);
  }
  return out;
}

Values ToBF16(Values values) {
  for (float& value : values) value = BF16ToFloat(FloatToBF16(value));
  return values;
}

// A matrix in a format whose blocks hold one value.
class Stored {
 public:
  Stored(Format format, const Values& values, size_t cols) {
    const size_t rows = values.size() / cols;
    const WeightView from = {Format::kF32, rows, cols,
                             reinterpret_cast<const uint8_t*>(values.data())};
    view_ = {format, rows, cols, nullptr};
    bytes_.resize(rows * view_.RowBytes());
    QuantizeRows(from, format, {}, 0, rows, bytes_.data());
    view_.data = bytes_.data();
  }

  const WeightView& view() const { return view_; }

 private:
  std::vector<uint8_t> bytes_;
  WeightView view_;
};

WeightView Plan(Format format, size_t cols) {
  return {format, kRows, cols, nullptr};
}

struct TypeCase {
  WeightType type;
  Format format;
};
constexpr TypeCase kTypes[] = {
    {WeightType::kBF16, Format::kBF16}, {WeightType::kQ8, Format::kQ8_0},
    {WeightType::kQ6, Format::kN6_16},  {WeightType::kQ5, Format::kN5_16},
    {WeightType::kQ4, Format::kN4_16},  {WeightType::kQ4S, Format::kN4_32},
    {WeightType::kQ4_0, Format::kQ4_0},
};

TEST(WantedFormat, EachTypeHasOne) {
  for (const auto& [type, format] : kTypes) {
    for (const Format from : {Format::kF32, Format::kF16, Format::kBF16}) {
      if (from == Format::kF16 && format == Format::kBF16) continue;
      EXPECT_EQ(WantedFormat(type, Plan(from, 64)), format)
          << WeightTypeName(type) << " of " << FormatName(from);
    }
  }
}

TEST(WantedFormat, KeepKeepsAll) {
  for (const Format format : {Format::kF32, Format::kF16, Format::kQ4_K,
                              Format::kSFP, Format::kNUQ, Format::kN4_16}) {
    EXPECT_EQ(WantedFormat(WeightType::kKeep, Plan(format, 256)), format);
  }
}

TEST(WantedFormat, KeepsSmallEnoughFormats) {
  const auto wanted = [](WeightType type, Format format) {
    return WantedFormat(type, Plan(format, 256));
  };
  EXPECT_EQ(wanted(WeightType::kBF16, Format::kF16), Format::kF16);
  EXPECT_EQ(wanted(WeightType::kBF16, Format::kQ8_0), Format::kQ8_0);
  EXPECT_EQ(wanted(WeightType::kQ8, Format::kQ8_0), Format::kQ8_0);
  EXPECT_EQ(wanted(WeightType::kQ8, Format::kQ6_K), Format::kQ6_K);
  EXPECT_EQ(wanted(WeightType::kQ6, Format::kQ5_0), Format::kQ5_0);
  EXPECT_EQ(wanted(WeightType::kQ5, Format::kQ5_K), Format::kQ5_K);
  EXPECT_EQ(wanted(WeightType::kQ4, Format::kQ4_0), Format::kQ4_0);
  EXPECT_EQ(wanted(WeightType::kQ4_0, Format::kQ4_K), Format::kQ4_K);
  // Training may have chosen the codes of Q4_0, so they stay.
  EXPECT_EQ(wanted(WeightType::kQ4S, Format::kQ4_0), Format::kQ4_0);
  // The codes of other formats are converted.
  EXPECT_EQ(wanted(WeightType::kQ6, Format::kQ8_0), Format::kN6_16);
  EXPECT_EQ(wanted(WeightType::kQ4, Format::kQ5_0), Format::kN4_16);
  // Converting to the same type again changes nothing.
  for (const auto& [type, format] : kTypes) {
    EXPECT_EQ(wanted(type, format), format) << WeightTypeName(type);
  }
}

TEST(WantedFormat, PartialBlocksBecomeBfloat16) {
  for (const auto& [type, format] : kTypes) {
    for (const size_t cols : {1, 31, 33, 42, 48}) {
      for (const Format from : {Format::kF32, Format::kBF16}) {
        EXPECT_EQ(WantedFormat(type, Plan(from, cols)), Format::kBF16)
            << WeightTypeName(type) << ", " << cols << " columns";
      }
      EXPECT_EQ(WantedFormat(type, Plan(Format::kF16, cols)), Format::kF16);
    }
  }
}

TEST(WantedFormat, GemmaCppAsBfloat16) {
  EXPECT_EQ(KeptFormat(Format::kSFP), Format::kBF16);
  EXPECT_EQ(KeptFormat(Format::kNUQ), Format::kBF16);
  for (const Format format : {Format::kF32, Format::kF16, Format::kBF16,
                              Format::kQ8_0, Format::kN5_16}) {
    EXPECT_EQ(KeptFormat(format), format);
  }
  for (const Format from : {Format::kSFP, Format::kNUQ}) {
    EXPECT_EQ(WantedFormat(WeightType::kBF16, Plan(from, 256)), Format::kBF16);
    EXPECT_EQ(WantedFormat(WeightType::kQ8, Plan(from, 256)), Format::kQ8_0);
    EXPECT_EQ(WantedFormat(WeightType::kQ4, Plan(from, 256)), Format::kN4_16);
  }
}

TEST(WantedFormat, KeepsValuesOfFloats) {
  EXPECT_EQ(KeptFormat(Format::kF64), Format::kF32);
  EXPECT_EQ(KeptFormat(Format::kF8_E4M3), Format::kBF16);
  EXPECT_EQ(KeptFormat(Format::kF8_E5M2), Format::kBF16);
  for (const Format from : {Format::kF64, Format::kF8_E4M3, Format::kF8_E5M2}) {
    EXPECT_EQ(WantedFormat(WeightType::kQ8, Plan(from, 256)), Format::kQ8_0);
  }
  for (const Format from : {Format::kIQ2_XXS, Format::kIQ3_S, Format::kMXFP4}) {
    EXPECT_EQ(WantedFormat(WeightType::kQ4S, Plan(from, 256)), from);
  }
}

TEST(WantedFormat, BitsCountRowUnits) {
  EXPECT_EQ(BitsPerWeight(Format::kF32, 3), 32);
  EXPECT_EQ(BitsPerWeight(Format::kQ8_0, 64), 8.5);
  EXPECT_EQ(BitsPerWeight(Format::kN4_32, 64), 4.25 + 16.0 / 64);
  EXPECT_EQ(BitsPerWeight(Format::kN6_16, 1024), 6.5 + 16.0 / 1024);
}

// ---------------------------------------------------------------------------
// Weights that were trained for Q4_0

TEST(IsTrainedForQ4_0, KnowsItsGrid) {
  for (const size_t cols : {32, 64, 640}) {
    const Values gaussian = Gaussian(kRows * cols);
    const Values grid = OnGrid(gaussian, cols);
    for (const Format format : {Format::kF32, Format::kBF16, Format::kF16}) {
      EXPECT_TRUE(IsTrainedForQ4_0(Stored(format, grid, cols).view()))
          << cols << " columns in " << FormatName(format);
      EXPECT_FALSE(IsTrainedForQ4_0(Stored(format, gaussian, cols).view()))
          << cols << " columns in " << FormatName(format);
    }
    // As published: rounded to bfloat16, perhaps then stored in float32.
    const Values rounded = ToBF16(grid);
    EXPECT_TRUE(IsTrainedForQ4_0(Stored(Format::kF32, rounded, cols).view()));
    // Rounding alone does not put values on the grid of Q4_0.
    EXPECT_FALSE(
        IsTrainedForQ4_0(Stored(Format::kBF16, gaussian, cols).view()));
  }
}

TEST(IsTrainedForQ4_0, OneRowOffGrid) {
  Values grid = OnGrid(Gaussian(16 * 64), 64);
  ASSERT_TRUE(IsTrainedForQ4_0(Stored(Format::kF32, grid, 64).view()));
  for (const size_t row : {0, 7, 15}) {
    Values changed = grid;
    for (size_t col = 0; col < 64; ++col) {
      changed[row * 64 + col] *= 1.0f + 0.02f * static_cast<float>(col % 3);
    }
    EXPECT_FALSE(IsTrainedForQ4_0(Stored(Format::kF32, changed, 64).view()))
        << row;
  }
}

TEST(IsTrainedForQ4_0, FalseForUnsuitableRows) {
  const Values grid = OnGrid(Gaussian(64), 64);
  const Stored stored(Format::kF32, grid, 64);
  WeightView view = stored.view();
  ASSERT_TRUE(IsTrainedForQ4_0(view));
  view.data = nullptr;
  EXPECT_FALSE(IsTrainedForQ4_0(view));
  // Rows that are not whole blocks, and a format that has blocks already.
  EXPECT_FALSE(IsTrainedForQ4_0(Stored(Format::kF32, grid, 16).view()));
  EXPECT_FALSE(IsTrainedForQ4_0(Stored(Format::kQ8_0, grid, 64).view()));
  Values bad = grid;
  for (const float value : {std::nanf(""), INFINITY, -INFINITY}) {
    bad[40] = value;
    const WeightView rows = {Format::kF32, 1, 64,
                             reinterpret_cast<const uint8_t*>(bad.data())};
    EXPECT_FALSE(IsTrainedForQ4_0(rows)) << value;
  }
}

TEST(WantedFormat, TrainedWeightsKeepCodes) {
  const Values grid = OnGrid(Gaussian(kRows * 64), 64);
  const Stored trained(Format::kBF16, grid, 64);
  const Stored other(Format::kBF16, Gaussian(kRows * 64), 64);
  for (const auto& [type, format] : kTypes) {
    const bool is_float = type == WeightType::kBF16;
    EXPECT_EQ(WantedFormat(type, trained.view()),
              is_float ? Format::kBF16 : Format::kQ4_0)
        << WeightTypeName(type);
    EXPECT_EQ(WantedFormat(type, other.view()), format) << WeightTypeName(type);
  }
  EXPECT_EQ(WantedFormat(WeightType::kKeep, trained.view()), Format::kBF16);
}

// ---------------------------------------------------------------------------
// Tensors that are already packed

std::string StaysError(WeightType type, Format format, size_t cols,
                       WeightKind kind = WeightKind::kMatrix) {
  // The bytes are panels, so nothing may read them as rows.
  const std::vector<uint8_t> byte(1);
  Tensor tensor;
  tensor.format = format;
  tensor.packed = LayoutOf(format);
  tensor.shape = {kRows, cols};
  tensor.data = byte.data();
  tensor.file = "m.gguf";
  const WeightSpec spec = {WeightRole::kQProj, 0, kind, tensor.shape};
  return ErrorOf(CheckStays({spec, &tensor, "q"}, type));
}

TEST(CheckStays, RefusesOnlyConversions) {
  constexpr char kError[] =
      "m.gguf: is packed already, wanted the file that it was made from";
  // At any width, although narrow rows need more bits per weight, because each
  // row has a unit.
  for (const size_t cols : {32, 640, 16384}) {
    for (const auto& [type, format] : kTypes) {
      EXPECT_EQ(StaysError(type, format, cols), "OK") << WeightTypeName(type);
    }
    EXPECT_EQ(StaysError(WeightType::kQ4, Format::kBF16, cols), kError);
    EXPECT_EQ(StaysError(WeightType::kQ4, Format::kN6_16, cols), kError);
    EXPECT_EQ(StaysError(WeightType::kBF16, Format::kF32, cols), kError);
    EXPECT_EQ(StaysError(WeightType::kQ8, Format::kN4_16, cols), "OK");
    EXPECT_EQ(StaysError(WeightType::kKeep, Format::kF32, cols), "OK");
    EXPECT_EQ(
        StaysError(WeightType::kQ4, Format::kF32, cols, WeightKind::kGates),
        "OK");
  }
  // Rows that are not whole blocks have become bfloat16.
  EXPECT_EQ(StaysError(WeightType::kQ4, Format::kBF16, 48), "OK");
  EXPECT_EQ(StaysError(WeightType::kQ4, Format::kF32, 48), kError);
}

}  // namespace
}  // namespace gemma::internal
