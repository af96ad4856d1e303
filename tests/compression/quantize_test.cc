#include "compression/quantize.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "compression/codec.h"
#include "compression/half.h"
#include "compression/pack.h"
#include "compression/packed_row.h"
#include "gtest/gtest.h"
#include "tests/compression/golden.h"
#include "tests/support/for_each_target.h"

namespace gemma::internal {
namespace {

constexpr size_t kRows = 5;
constexpr size_t kCols = 512;

std::vector<Format> Encodable() {
  std::vector<Format> out;
  for (const Format format : kAllFormats) {
    if (CanQuantize(format)) out.push_back(format);
  }
  return out;
}

WeightView FloatView(const std::vector<float>& values, size_t cols) {
  return {Format::kF32, values.size() / cols, cols,
          reinterpret_cast<const uint8_t*>(values.data())};
}

// Encoded rows in a buffer of the exact size.
struct Encoded {
  Encoded(Format format, const WeightView& from,
          std::span<const float> importance = {})
      : view{format, from.rows, from.cols, nullptr} {
    bytes.resize(from.rows * view.RowBytes());
    bad_row =
        QuantizeRows(from, format, importance, 0, from.rows, bytes.data());
    view.data = bytes.data();
  }

  std::vector<float> Values() const {
    std::vector<float> out(view.rows * view.cols);
    for (size_t row = 0; row < view.rows; ++row) {
      DecodeRow(view, row, out.data() + row * view.cols);
    }
    return out;
  }

  WeightView view;
  std::vector<uint8_t> bytes;
  std::optional<size_t> bad_row;
};

std::vector<float> Gaussian(size_t size, float deviation, uint32_t seed = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, deviation);
  std::vector<float> out(size);
  for (float& value : out) value = normal(random);
  return out;
}

// Returns the root mean square error, weighted by column, relative to the
// values.
double RelativeError(const std::vector<float>& from,
                     const std::vector<float>& to,
                     const std::vector<float>& weights = {}) {
  double error = 0;
  double power = 0;
  for (size_t i = 0; i < from.size(); ++i) {
    const double w = weights.empty() ? 1.0 : weights[i % weights.size()];
    const double e = double{from[i]} - to[i];
    error += w * e * e;
    power += w * from[i] * from[i];
  }
  return std::sqrt(error / power);
}

// Returns the bound on the error for Gaussian weights. Scales that come from
// the largest magnitude alone exceed it.
double LargestError(Format format) {
  switch (format) {
    case Format::kF32:
      return 0.0;
    case Format::kF16:
      return 0.0003;
    case Format::kBF16:
      return 0.0018;
    case Format::kQ8_0:
      return 0.0050;
    case Format::kQ6_K:
    case Format::kN6_16:
      return 0.0170;
    case Format::kN5_16:
      return 0.0345;
    case Format::kQ4_0:
      return 0.0815;
    case Format::kIQ4_NL:
    case Format::kN4_32:
      return 0.0745;
    case Format::kN4_16:
      return 0.0642;
    default:
      return -1.0;  // a new format needs a line here
  }
}

TEST(Quantize, GaussianWeightsLoseLittle) {
  const std::vector<float> values = Gaussian(64 * 1024, 0.02f);
  for (const Format format : Encodable()) {
    const Encoded encoded(format, FloatView(values, 1024));
    EXPECT_LE(RelativeError(values, encoded.Values()), LargestError(format))
        << FormatName(format);
  }
}

// The bytes do not depend on the CPU.
TEST(Quantize, SameBytesEveryTarget) {
  const std::vector<float> values = Gaussian(kRows * kCols, 1.0f);
  const std::vector<float> importance = [] {
    std::vector<float> out = Gaussian(kCols, 1.0f, 7);
    for (float& value : out) value *= value;
    return out;
  }();
  for (const Format format : Encodable()) {
    const Encoded expected(format, FloatView(values, kCols), importance);
    ForEachTarget([&] {
      const Encoded actual(format, FloatView(values, kCols), importance);
      EXPECT_EQ(actual.bytes, expected.bytes) << FormatName(format);
    });
  }
}

TEST(Quantize, RangesEqualTheWhole) {
  const std::vector<float> values = Gaussian(37 * kCols, 1.0f);
  const WeightView from = FloatView(values, kCols);
  for (const Format format : Encodable()) {
    SCOPED_TRACE(FormatName(format));
    const Encoded whole(format, from);
    std::vector<uint8_t> part(2 * whole.view.RowBytes());
    EXPECT_FALSE(QuantizeRows(from, format, {}, 3, 5, part.data()));
    EXPECT_EQ(std::memcmp(part.data(), whole.view.Row(3), part.size()), 0);

    std::vector<uint8_t> packed(PackedBytes(format, 37, kCols));
    for (size_t panel = 3; panel-- > 0;) {
      EXPECT_FALSE(QuantizePanels(from, format, LayoutOf(format), {}, panel,
                                  panel + 1, packed.data()));
    }
    std::vector<uint8_t> expected(packed.size());
    PackPanels(whole.view, LayoutOf(format), 0, 3, expected.data());
    EXPECT_EQ(packed, expected);
  }
}

// Values of the format are kept exactly, in any container.
TEST(Quantize, KeepsQ4_0Codes) {
  std::mt19937 random(3);
  std::vector<uint8_t> bytes(kRows * kCols / 32 * 18);
  for (size_t at = 0; at < bytes.size(); at += 18) {
    for (size_t i = 2; i < 18; ++i) {
      bytes[at + i] = static_cast<uint8_t>(random());
    }
    bytes[at + 2] &= 0xF0;  // makes the largest -8, as after training
    const uint16_t scale = FloatToHalf(
        std::ldexp(1.0f + static_cast<float>(random() % 1024) / 1024, -9));
    std::memcpy(&bytes[at], &scale, sizeof(scale));
  }
  const WeightView from = {Format::kQ4_0, kRows, kCols, bytes.data()};
  std::vector<float> values(kRows * kCols);
  for (size_t row = 0; row < kRows; ++row) {
    DecodeRow(from, row, values.data() + row * kCols);
  }
  EXPECT_EQ(Encoded(Format::kQ4_0, from).Values(), values);

  // A checkpoint that was trained for the format stores bfloat16.
  std::vector<float> rounded = values;
  for (float& value : rounded) value = BF16ToFloat(FloatToBF16(value));
  const Encoded again(Format::kQ4_0, FloatView(rounded, kCols));
  size_t differ = 0;
  for (size_t at = 0; at < bytes.size(); ++at) {
    differ += at % 18 >= 2 && again.bytes[at] != bytes[at];
  }
  EXPECT_EQ(differ, 0u);
}

TEST(Quantize, KeepsFloatFormats) {
  for (const Format format : {Format::kF16, Format::kBF16}) {
    const Golden golden(format);
    ASSERT_TRUE(golden.IsComplete());
    const Encoded encoded(format, golden.View());
    EXPECT_FALSE(encoded.bad_row);
    EXPECT_EQ(std::memcmp(encoded.bytes.data(), golden.bytes.data() + 1,
                          encoded.bytes.size()),
              0)
        << FormatName(format);
  }
}

TEST(Quantize, ImportantColumnsLoseLess) {
  const std::vector<float> values = Gaussian(64 * kCols, 0.02f);
  std::vector<float> importance(kCols, 1.0f);
  for (size_t col = 0; col < kCols; col += 5) importance[col] = 50.0f;
  for (const Format format : Encodable()) {
    if (BlockValues(format) == 1) continue;
    const Encoded plain(format, FloatView(values, kCols));
    const Encoded weighted(format, FloatView(values, kCols), importance);
    const double before = RelativeError(values, plain.Values(), importance);
    const double after = RelativeError(values, weighted.Values(), importance);
    EXPECT_LT(after, before) << FormatName(format);
  }
}

TEST(Quantize, ZeroImportanceIsNone) {
  const std::vector<float> values = Gaussian(kRows * kCols, 1.0f);
  const std::vector<float> zeros(kCols, 0.0f);
  for (const Format format : Encodable()) {
    EXPECT_EQ(Encoded(format, FloatView(values, kCols), zeros).bytes,
              Encoded(format, FloatView(values, kCols)).bytes)
        << FormatName(format);
  }
}

TEST(Quantize, ZerosStayZeros) {
  const std::vector<float> zeros(kRows * kCols, 0.0f);
  for (const Format format : Encodable()) {
    const Encoded encoded(format, FloatView(zeros, kCols));
    for (const float value : encoded.Values()) {
      ASSERT_EQ(value, 0.0f) << FormatName(format);
    }
  }
}

// A value far above the others is kept, and only its group loses precision. In
// formats whose rows have a unit, other groups lose at most their steps.
TEST(Quantize, OutlierCostsOneGroup) {
  std::vector<float> values = Gaussian(kCols, 0.02f);
  values[100] = 2.0f;
  for (const Format format : Encodable()) {
    const std::vector<float> actual =
        Encoded(format, FloatView(values, kCols)).Values();
    EXPECT_NEAR(actual[100], 2.0f, 0.02f) << FormatName(format);
    const std::vector<float> far(values.begin() + 256, values.end());
    const std::vector<float> far_actual(actual.begin() + 256, actual.end());
    EXPECT_LE(RelativeError(far, far_actual),
              1.5 * LargestError(format) + 0.002)
        << FormatName(format);
  }
}

TEST(Quantize, ExtremesStayFinite) {
  const float kLargest = std::numeric_limits<float>::max();
  const float kDenormal = std::numeric_limits<float>::denorm_min();
  for (const float size : {kLargest, kLargest / 3, 1e30f, 7e4f, 1e-30f, 1e-38f,
                           1000 * kDenormal, kDenormal}) {
    std::vector<float> values = Gaussian(kRows * kCols, 0.3f);
    for (float& value : values) {
      value = std::clamp(value, -1.0f, 1.0f) * size;
    }
    values[7] = size;
    for (const Format format : Encodable()) {
      const Encoded encoded(format, FloatView(values, kCols));
      EXPECT_FALSE(encoded.bad_row) << FormatName(format);
      const std::vector<float> actual = encoded.Values();
      for (size_t i = 0; i < actual.size(); ++i) {
        ASSERT_TRUE(std::isfinite(actual[i]))
            << FormatName(format) << " of " << values[i];
        ASSERT_LE(std::abs(double{actual[i]}), 1.1 * size)
            << FormatName(format);
      }
    }
  }
}

TEST(Quantize, NamesNonFiniteRow) {
  for (const float bad : {std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> values = Gaussian(kRows * kCols, 1.0f);
    values[3 * kCols + 77] = bad;
    for (const Format format : Encodable()) {
      EXPECT_EQ(Encoded(format, FloatView(values, kCols)).bad_row, 3u)
          << FormatName(format);
    }
  }
}

TEST(Quantize, EncodesWrittenFormats) {
  for (const Format format : {Format::kF32, Format::kBF16, Format::kQ8_0,
                              Format::kQ6_K, Format::kQ4_0, Format::kIQ4_NL,
                              Format::kN6_16, Format::kN4_16, Format::kN4_32}) {
    EXPECT_TRUE(CanQuantize(format)) << FormatName(format);
  }
  EXPECT_FALSE(CanQuantize(Format::kQ2_K));
}

}  // namespace
}  // namespace gemma::internal
