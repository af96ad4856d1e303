// Choosing tokens, against a plain reference.

#include "gemma/sampler.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/formats/error_of.h"
#include "tests/support/near.h"

namespace gemma {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// The probability of each token, by the definitions: temperature, the k most
// probable, of those the fewest that reach p, of those the ones of at least
// min_p times the highest.
std::vector<double> ReferenceProbabilities(const std::vector<float>& logits,
                                           const SamplingOptions& options) {
  std::vector<size_t> order(logits.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  if (options.top_k != 0 && options.top_k < order.size()) {
    order.resize(options.top_k);
  }
  const auto normalized = [&] {
    std::vector<double> p;
    double sum = 0;
    for (const size_t i : order) {
      p.push_back(std::exp((static_cast<double>(logits[i]) - logits[order[0]]) /
                           options.temperature));
      sum += p.back();
    }
    for (double& value : p) value /= sum;
    return p;
  };
  std::vector<double> p = normalized();
  size_t keep = 0;
  double reached = 0;
  while (keep < p.size() && (keep == 0 || reached < options.top_p)) {
    reached += p[keep++];
  }
  while (keep > 1 && p[keep - 1] < options.min_p * p[0]) --keep;
  order.resize(keep);
  p = normalized();
  std::vector<double> out(logits.size());
  for (size_t i = 0; i < order.size(); ++i) out[order[i]] = p[i];
  return out;
}

TokenId SampleOnce(std::vector<float> logits, const SamplingOptions& options) {
  Sampler sampler(options);
  return sampler.Sample(absl::MakeSpan(logits));
}

std::vector<TokenId> Samples(const std::vector<float>& logits,
                             const SamplingOptions& options, size_t count) {
  Sampler sampler(options);
  std::vector<TokenId> out;
  for (size_t i = 0; i < count; ++i) {
    std::vector<float> copy = logits;
    out.push_back(sampler.Sample(absl::MakeSpan(copy)));
  }
  return out;
}

// Options that keep everything.
SamplingOptions All(uint64_t seed = 1) {
  return {.top_k = 0, .top_p = 1.0f, .min_p = 0.0f, .seed = seed};
}

TEST(Sampler, TemperatureZeroTakesTheHighest) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const std::vector<float> logits = RandomVector(101, seed);
    const auto best = std::max_element(logits.begin(), logits.end());
    EXPECT_EQ(SampleOnce(logits, {.temperature = 0.0f, .seed = seed}),
              best - logits.begin());
    // Whatever else is asked for.
    EXPECT_EQ(
        SampleOnce(
            logits,
            {.temperature = 0.0f, .top_k = 0, .top_p = 0.0f, .min_p = 1.0f}),
        best - logits.begin());
  }
}

TEST(Sampler, TiesGoToTheLowerToken) {
  EXPECT_EQ(SampleOnce({1, 3, 2, 3, 3}, {.temperature = 0.0f}), 1);
  EXPECT_EQ(SampleOnce({0.0f, -0.0f}, {.temperature = 0.0f}), 0);
  EXPECT_EQ(SampleOnce({5, 5, 5}, {.temperature = 0.0f}), 0);
  EXPECT_EQ(SampleOnce({1, 3, 2, 3, 3}, {.top_k = 1}), 1);
  // Of five equal logits the first three are the three most probable.
  SamplingOptions options = All();
  options.top_k = 3;
  const std::vector<TokenId> samples = Samples({5, 5, 5, 5, 5}, options, 200);
  EXPECT_EQ(std::set<TokenId>(samples.begin(), samples.end()),
            std::set<TokenId>({0, 1, 2}));
}

TEST(Sampler, SmallOptionsTakeTheHighest) {
  const std::vector<float> logits = RandomVector(64, 5);
  const auto best = std::max_element(logits.begin(), logits.end());
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const SamplingOptions all = All(seed);
    SamplingOptions options = all;
    options.top_k = 1;
    EXPECT_EQ(SampleOnce(logits, options), best - logits.begin());
    options = all;
    options.top_p = 0.0f;
    EXPECT_EQ(SampleOnce(logits, options), best - logits.begin());
    options = all;
    options.min_p = 1.0f;
    EXPECT_EQ(SampleOnce(logits, options), best - logits.begin());
    options = all;
    options.temperature = 1e-4f;
    EXPECT_EQ(SampleOnce(logits, options), best - logits.begin());
  }
}

// Pearson's statistic of the counts, tokens of small probability taken
// together; tokens without probability must not come.
double ChiSquare(const std::vector<TokenId>& samples,
                 const std::vector<double>& probabilities) {
  std::vector<double> counts(probabilities.size());
  for (const TokenId token : samples) ++counts.at(token);
  double sum = 0;
  double rare = 0;
  double expected_rare = 0;
  const auto add = [&](double count, double expected) {
    sum += (count - expected) * (count - expected) / expected;
  };
  for (size_t i = 0; i < counts.size(); ++i) {
    const double expected =
        probabilities[i] * static_cast<double>(samples.size());
    if (expected == 0) {
      EXPECT_EQ(counts[i], 0) << "token " << i;
    } else if (expected < 5) {
      rare += counts[i];
      expected_rare += expected;
    } else {
      add(counts[i], expected);
    }
  }
  if (expected_rare > 0) add(rare, std::max(expected_rare, 1.0));
  return sum;
}

TEST(Sampler, FrequenciesEqualTheReference) {
  std::vector<float> logits = RandomVector(24, 7);
  for (float& logit : logits) logit *= 3.0f;
  for (const float temperature : {0.5f, 1.0f, 2.0f}) {
    for (const size_t top_k : {size_t{0}, size_t{2}, size_t{7}, size_t{64}}) {
      for (const float top_p : {1.0f, 0.95f, 0.6f, 0.3f}) {
        for (const float min_p : {0.0f, 0.05f, 0.4f}) {
          const SamplingOptions options = {temperature, top_k, top_p, min_p,
                                           /*seed=*/top_k + 3};
          const std::vector<double> expected =
              ReferenceProbabilities(logits, options);
          const auto kept = static_cast<double>(
              std::count_if(expected.begin(), expected.end(),
                            [](double p) { return p > 0; }));
          // Its mean is kept - 1, its variance 2 (kept - 1); six deviations.
          EXPECT_LE(ChiSquare(Samples(logits, options, 4000), expected),
                    kept + 6 * std::sqrt(2 * kept) + 6)
              << "temperature " << temperature << ", top_k " << top_k
              << ", top_p " << top_p << ", min_p " << min_p;
        }
      }
    }
  }
}

// The test above must see a wrong temperature.
TEST(Sampler, FrequenciesOfAnotherTemperatureDiffer) {
  std::vector<float> logits = RandomVector(24, 7);
  for (float& logit : logits) logit *= 3.0f;
  SamplingOptions options = All();
  const std::vector<double> expected = ReferenceProbabilities(logits, options);
  options.temperature = 1.5f;
  EXPECT_GT(ChiSquare(Samples(logits, options, 4000), expected),
            24 + 6 * std::sqrt(48.0) + 6);
}

TEST(Sampler, TopPKeepsTheTokenThatReachesIt) {
  // Probabilities of 1/2, 1/4, 1/8, 1/8, and room for rounding.
  const float half = std::log(2.0f);
  const std::vector<float> logits = {-3 * half, -half, -2 * half, -3 * half};
  const auto kept = [&](float top_p) {
    SamplingOptions options = All();
    options.top_p = top_p;
    const std::vector<TokenId> samples = Samples(logits, options, 500);
    return std::set<TokenId>(samples.begin(), samples.end());
  };
  EXPECT_EQ(kept(0.49f), std::set<TokenId>({1}));
  EXPECT_EQ(kept(0.51f), std::set<TokenId>({1, 2}));
  EXPECT_EQ(kept(0.74f), std::set<TokenId>({1, 2}));
  EXPECT_EQ(kept(0.76f), std::set<TokenId>({0, 1, 2}));  // the lower of a tie
  EXPECT_EQ(kept(0.88f), std::set<TokenId>({0, 1, 2, 3}));
}

TEST(Sampler, SameSeedGivesTheSameChoices) {
  const std::vector<float> logits = RandomVector(300, 9);
  const std::vector<TokenId> first = Samples(logits, {.seed = 42}, 100);
  EXPECT_EQ(Samples(logits, {.seed = 42}, 100), first);
  EXPECT_NE(Samples(logits, {.seed = 43}, 100), first);
  EXPECT_GT(std::set<TokenId>(first.begin(), first.end()).size(), 10u);
}

TEST(Sampler, OneTokenIsAlwaysChosen) {
  for (const float logit : {0.0f, -1e30f, kInfinity, -kInfinity, kNaN}) {
    for (const float temperature : {0.0f, 1.0f}) {
      EXPECT_EQ(SampleOnce({logit}, {.temperature = temperature}), 0);
    }
  }
}

TEST(Sampler, NotANumberIsNeverChosen) {
  std::vector<float> logits(50, kNaN);
  logits[17] = -1e30f;
  logits[31] = -1e30f;
  EXPECT_EQ(SampleOnce(logits, {.temperature = 0.0f}), 17);
  EXPECT_EQ(SampleOnce(logits, {.top_k = 1}), 17);
  for (const size_t top_k : {size_t{0}, size_t{2}, size_t{10}}) {
    SamplingOptions options = All();
    options.top_k = top_k;
    const std::vector<TokenId> samples = Samples(logits, options, 200);
    EXPECT_EQ(std::set<TokenId>(samples.begin(), samples.end()),
              std::set<TokenId>({17, 31}))
        << "top_k " << top_k;
  }
}

TEST(Sampler, InfiniteLogitIsChosen) {
  for (const float temperature : {0.0f, 1.0f}) {
    EXPECT_EQ(SampleOnce({1, kNaN, 2, kInfinity, kInfinity},
                         {.temperature = temperature}),
              3);
  }
}

TEST(Sampler, TokenOfNoProbabilityIsNeverChosen) {
  const std::vector<TokenId> samples =
      Samples({-kInfinity, 1, -kInfinity, 0, -kInfinity}, All(), 300);
  EXPECT_EQ(std::set<TokenId>(samples.begin(), samples.end()),
            std::set<TokenId>({1, 3}));
}

TEST(Sampler, AnyLogitsGiveAToken) {
  const float values[] = {0,      -0.0f, 1,         1e38f,      -1e38f,
                          1e-45f, kNaN,  kInfinity, -kInfinity, 3e38f};
  const float temperatures[] = {0, 1e-45f, 1e-3f, 1, 1e38f};
  std::mt19937 random(3);
  for (int trial = 0; trial < 2000; ++trial) {
    std::vector<float> logits(1 + random() % 12);
    for (float& logit : logits) logit = values[random() % std::size(values)];
    const SamplingOptions options = {
        temperatures[random() % std::size(temperatures)], random() % 4,
        static_cast<float>(random() % 3) / 2.0f,
        static_cast<float>(random() % 3) / 2.0f, random()};
    ASSERT_TRUE(Validate(options).ok());
    const TokenId token = SampleOnce(logits, options);
    ASSERT_GE(token, 0);
    ASSERT_LT(token, static_cast<TokenId>(logits.size()));
  }
}

TEST(SamplingOptions, DefaultsAndLimitsAreValid) {
  EXPECT_EQ(ErrorOf(Validate(SamplingOptions())), "OK");
  EXPECT_EQ(ErrorOf(Validate(SamplingOptions{0.0f, 0, 0.0f, 0.0f, 0})), "OK");
  EXPECT_EQ(ErrorOf(Validate(
                SamplingOptions{1e30f, SIZE_MAX, 1.0f, 1.0f, UINT64_MAX})),
            "OK");
}

TEST(SamplingOptions, OutOfRangeIsNamed) {
  EXPECT_EQ(ErrorOf(Validate({.temperature = -1.0f})),
            "temperature is -1, wanted 0 or more");
  EXPECT_EQ(ErrorOf(Validate({.temperature = kNaN})),
            "temperature is nan, wanted 0 or more");
  EXPECT_THAT(ErrorOf(Validate({.temperature = kInfinity})),
              HasSubstr("temperature is inf"));
  for (const float value : {-0.01f, 1.01f, kNaN, kInfinity}) {
    EXPECT_THAT(ErrorOf(Validate({.top_p = value})),
                AllOf(HasSubstr("top_p is "), HasSubstr("wanted 0 to 1")));
    EXPECT_THAT(ErrorOf(Validate({.min_p = value})),
                AllOf(HasSubstr("min_p is "), HasSubstr("wanted 0 to 1")));
  }
}

}  // namespace
}  // namespace gemma
