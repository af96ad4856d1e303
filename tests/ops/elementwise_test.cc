// Compares the ops on vectors with double precision.

#include <cmath>
#include <cstddef>
#include <vector>

#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/support/for_each_target.h"
#include "tests/support/near.h"

namespace gemma::internal {
namespace {

// One lane, both sides of common vector widths, and real models' widths.
constexpr size_t kSizes[] = {1, 3, 4, 7, 8, 15, 16, 17, 33, 640, 1152, 2304};

double Gelu(double z) {
  return 0.5 * z *
         (1 + std::tanh(std::sqrt(2 / M_PI) * (z + 0.044715 * z * z * z)));
}

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// All buffers have the exact size, so that ASan detects an access beyond the
// end.
std::vector<float> Scaled(std::vector<float> x, float scale) {
  for (float& v : x) v *= scale;
  return x;
}

TEST(RmsNorm, MatchesDoublePrecision) {
  ForEachTarget([] {
    for (const size_t size : kSizes) {
      const std::vector<float> x = RandomVector(size, size);
      const std::vector<float> weight = RandomVector(size, size + 1);
      std::vector<float> out(size);
      RmsNorm(x, weight, 1e-6f, out);
      double squares = 0;
      for (const float v : x) squares += static_cast<double>(v) * v;
      const double scale =
          1 / std::sqrt(squares / static_cast<double>(size) + 1e-6);
      std::vector<double> expected(size);
      for (size_t i = 0; i < size; ++i) expected[i] = x[i] * scale * weight[i];
      EXPECT_LT(RelativeError(out, expected), 1e-6) << "size " << size;
    }
  });
}

TEST(RmsNorm, EmptyWeightIsOne) {
  ForEachTarget([] {
    for (const size_t size : kSizes) {
      const std::vector<float> x = RandomVector(size, size);
      std::vector<float> out(size), expected(size);
      RmsNorm(x, {}, 1e-6f, out);
      RmsNorm(x, std::vector<float>(size, 1.0f), 1e-6f, expected);
      EXPECT_EQ(out, expected) << "size " << size;
    }
  });
}

TEST(RmsNorm, WorksInPlace) {
  std::vector<float> x = RandomVector(37, 1);
  const std::vector<float> weight = RandomVector(37, 2);
  std::vector<float> out(37);
  RmsNorm(x, weight, 1e-6f, out);
  RmsNorm(x, weight, 1e-6f, x);
  EXPECT_EQ(x, out);
}

TEST(RmsNorm, IsFiniteForZeros) {
  const std::vector<float> x(9, 0.0f);
  std::vector<float> out(9, 1.0f);
  RmsNorm(x, RandomVector(9, 1), 1e-6f, out);
  EXPECT_EQ(RelativeError(out, x), 0);
}

TEST(AllBelowInfinity, FindsTooLarge) {
  ForEachTarget([] {
    for (const size_t size : kSizes) {
      std::vector<float> x(size, 1e38f);
      EXPECT_TRUE(AllBelowInfinity(x));
      for (const size_t at : {size_t{0}, size / 2, size - 1}) {
        for (const float bad : {NAN, INFINITY}) {
          x.assign(size, -INFINITY);
          x[at] = bad;
          EXPECT_FALSE(AllBelowInfinity(x)) << size << " " << at << " " << bad;
        }
      }
      x.assign(size, -INFINITY);
      EXPECT_TRUE(AllBelowInfinity(x));
    }
    EXPECT_TRUE(AllBelowInfinity({}));
  });
}

TEST(FindAbove, FindsFirst) {
  ForEachTarget([] {
    for (const size_t size : kSizes) {
      std::vector<float> x(size, 1.0f);
      EXPECT_EQ(FindAbove(x, 0, 1.0f), size);
      EXPECT_EQ(FindAbove(x, size, 0.0f), size);
      for (const size_t at : {size_t{0}, size / 2, size - 1}) {
        x.assign(size, -INFINITY);
        for (size_t i = 0; i < at; i += 3) x[i] = NAN;
        x[at] = x[size - 1] = 2.0f;
        EXPECT_EQ(FindAbove(x, 0, 1.5f), at);
        EXPECT_EQ(FindAbove(x, at, 1.5f), at);
        EXPECT_EQ(FindAbove(x, 0, -INFINITY), at);
        EXPECT_EQ(FindAbove(x, at + 1, 1.5f), at + 1 < size ? size - 1 : size);
        EXPECT_EQ(FindAbove(x, 0, NAN), size);
      }
    }
  });
}

TEST(AddTo, AddsOnEveryTarget) {
  ForEachTarget([] {
    for (const size_t size : kSizes) {
      const std::vector<float> y = RandomVector(size, size);
      std::vector<float> x = RandomVector(size, size + 1);
      std::vector<float> expected = x;
      for (size_t i = 0; i < size; ++i) expected[i] += y[i];
      AddTo(y, x);
      EXPECT_EQ(x, expected) << "size " << size;
    }
  });
}

TEST(SoftCap, MatchesDoublePrecision) {
  ForEachTarget([] {
    for (const size_t size : kSizes) {
      for (const float cap : {30.0f, 50.0f}) {
        std::vector<float> x = Scaled(RandomVector(size, size), 200.0f);
        std::vector<double> expected(x.begin(), x.end());
        for (double& v : expected) v = cap * std::tanh(v / cap);
        SoftCap(cap, x);
        EXPECT_LT(RelativeError(x, expected), 1e-6) << "size " << size;
      }
    }
  });
}

TEST(GatedGelu, MatchesDoublePrecision) {
  ForEachTarget([] {
    for (const size_t size : kSizes) {
      for (const float scale : {1.0f, 12.0f, 1e4f}) {
        std::vector<float> gate = Scaled(RandomVector(size, size), scale);
        const std::vector<float> up = RandomVector(size, size + 1);
        std::vector<double> expected(size);
        for (size_t i = 0; i < size; ++i) expected[i] = Gelu(gate[i]) * up[i];
        const std::vector<float> z = gate;
        GatedGelu(gate, up);
        EXPECT_LT(RelativeError(gate, expected), 1e-6)
            << "size " << size << " scale " << scale;
        for (size_t i = 0; i < size; ++i) {
          ASSERT_NEAR(gate[i], expected[i], 4e-7 * std::abs(z[i] * up[i]))
              << "size " << size << " z " << z[i];
        }
      }
    }
  });
}

TEST(GatedGelu, ExactMatchesDoublePrecision) {
  ForEachTarget([] {
    for (const size_t size : kSizes) {
      for (const float scale : {1.0f, 12.0f, 1e4f}) {
        const std::vector<float> z = Scaled(RandomVector(size, size), scale);
        const std::vector<float> up = RandomVector(size, size + 1);
        std::vector<float> gate = z;
        GatedGelu(gate, up, GeluForm::kExact);
        for (size_t i = 0; i < size; ++i) {
          const double exact =
              0.5 * z[i] * std::erfc(-double{z[i]} / std::sqrt(2.0)) * up[i];
          ASSERT_NEAR(gate[i], exact, 4e-7 * std::abs(z[i] * up[i]))
              << "size " << size << " z " << z[i];
        }
      }
    }
  });
}

// Saturating functions must not hide such numbers.
TEST(Elementwise, KeepsNonFinite) {
  ForEachTarget([] {
    for (const float bad : {NAN, INFINITY, -INFINITY}) {
      const std::vector<float> one = {1.0f, 1.0f};
      const std::vector<float> with_bad = {1.0f, bad};
      const auto expect = [&](const std::vector<float>& found) {
        EXPECT_TRUE(std::isfinite(found[0]));
        EXPECT_FALSE(std::isfinite(found[1])) << bad;
      };
      std::vector<float> x;
      for (const float cap : {30.0f, 0.0f}) {
        x = with_bad;
        SoftCap(cap, x);
        expect(x);
        EXPECT_TRUE(std::isnan(x[1]));
      }
      EXPECT_EQ(x[0], 1.0f);
      for (const GeluForm form : {GeluForm::kTanh, GeluForm::kExact}) {
        x = with_bad;
        GatedGelu(x, one, form);
        expect(x);
      }
      const std::vector<float> decay = {-1.0f, -1.0f};
      const std::vector<float> bad_decay = {-1.0f, bad};
      std::vector<float> out(2);
      RgLru({one, with_bad, one, decay, one, out, false});
      expect(out);
      RgLru({one, one, with_bad, decay, one, out, false});
      expect(out);
      RgLru({one, one, one, bad_decay, one, out, false});
      expect(out);
    }
  });
}

// The erf form of GELU differs by 9.8e-5 here, which the tolerance above
// detects.
TEST(GatedGelu, IsTheTanhForm) {
  std::vector<float> gate = {2.0f};
  GatedGelu(gate, std::vector<float>{1.0f});
  const double erf_form = 0.5 * 2.0 * (1 + std::erf(2.0 / std::sqrt(2.0)));
  EXPECT_GT(std::abs(gate[0] - erf_form), 5e-5);
  EXPECT_NEAR(gate[0], Gelu(2.0), 1e-6);
}

TEST(Rope, RotatesPairsOfHalves) {
  ForEachTarget([] {
    for (const size_t half : {1, 3, 8, 17, 64, 128}) {
      const size_t size = 2 * half + 5;  // the last five stay as they are
      std::vector<float> frequency(half), cos(half), sin(half);
      RopeFrequencies(10000.0f, 8.0f, frequency);
      RopeAngles(1234, frequency, cos, sin);
      std::vector<float> head = RandomVector(size, half);
      std::vector<double> expected(head.begin(), head.end());
      for (size_t i = 0; i < half; ++i) {
        const double exponent = -static_cast<double>(i) / half;
        const double angle = 1234 * std::pow(10000.0, exponent) / 8;
        const double a = head[i];
        const double b = head[half + i];
        expected[i] = a * std::cos(angle) - b * std::sin(angle);
        expected[half + i] = b * std::cos(angle) + a * std::sin(angle);
      }
      Rope(cos, sin, head);
      // Angles are products in float32, as in the reference: near 155 radians
      // they are exact to about 1e-5.
      EXPECT_LT(RelativeError(head, expected), 3e-5) << "half " << half;
    }
  });
}

TEST(Conv1d, MatchesDoublePrecision) {
  ForEachTarget([] {
    for (const size_t size : kSizes) {
      constexpr size_t kTaps = 4;
      std::vector<std::vector<float>> inputs;
      std::vector<const float*> taps;
      for (size_t t = 0; t < kTaps; ++t) {
        inputs.push_back(RandomVector(size, 10 * size + t));
      }
      for (const auto& input : inputs) taps.push_back(input.data());
      const std::vector<float> weight = RandomVector(kTaps * size, size + 1);
      const std::vector<float> bias = RandomVector(size, size + 2);
      std::vector<float> out(size);
      Conv1d(taps, {weight.data(), kTaps, size}, bias, out);
      std::vector<double> expected(bias.begin(), bias.end());
      for (size_t t = 0; t < kTaps; ++t) {
        for (size_t i = 0; i < size; ++i) {
          expected[i] +=
              static_cast<double>(weight[t * size + i]) * inputs[t][i];
        }
      }
      EXPECT_LT(RelativeError(out, expected), 1e-6) << "size " << size;
    }
  });
}

TEST(RgLru, MatchesDoublePrecision) {
  ForEachTarget([] {
    for (const size_t size : kSizes) {
      const std::vector<float> x = RandomVector(size, size);
      const auto input_gate = Scaled(RandomVector(size, size + 1), 5.0f);
      const auto recurrent_gate = Scaled(RandomVector(size, size + 2), 5.0f);
      std::vector<float> log_a_scale = RandomVector(size, size + 3);
      // From almost no decay, where 1 - a^2 cancels, to a fast one.
      for (float& v : log_a_scale) v = -std::pow(10.0f, 4.0f * v - 3.0f);
      std::vector<float> state = RandomVector(size, size + 4);
      for (const bool first : {false, true}) {
        std::vector<double> expected(size);
        for (size_t i = 0; i < size; ++i) {
          const double log_a = Sigmoid(recurrent_gate[i]) * log_a_scale[i];
          const double in = Sigmoid(input_gate[i]) * x[i];
          expected[i] = first ? in
                              : std::exp(log_a) * state[i] +
                                    std::sqrt(-std::expm1(2 * log_a)) * in;
        }
        std::vector<float> out(size);
        RgLru({x, input_gate, recurrent_gate, log_a_scale, state, out, first});
        EXPECT_LT(RelativeError(out, expected), 1e-6)
            << "size " << size << " first " << first;
      }
    }
  });
}

}  // namespace
}  // namespace gemma::internal
