// Compares chosen tokens with a plain reference.

#include "gemma/sampler.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <numeric>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/error_of.h"
#include "tests/support/near.h"

namespace gemma::internal {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// Returns logits with bias and penalties, by the definitions.
std::vector<double> ReferenceLogits(const std::vector<float>& logits,
                                    const SamplingOptions& options,
                                    const std::vector<TokenId>& sequence) {
  std::vector<double> out(logits.begin(), logits.end());
  for (const LogitBias& b : options.logit_bias) out[b.token] += b.bias;
  const size_t window = options.penalty_window == 0
                            ? sequence.size()
                            : std::min(options.penalty_window, sequence.size());
  const std::vector<TokenId> last(sequence.end() - window, sequence.end());
  for (size_t i = 0; i < out.size(); ++i) {
    const auto count = static_cast<double>(
        std::count(last.begin(), last.end(), static_cast<TokenId>(i)));
    if (count == 0) continue;
    if (out[i] > 0) {
      out[i] /= options.repetition_penalty;
    } else {
      out[i] *= options.repetition_penalty;
    }
    out[i] -= count * options.frequency_penalty;
    out[i] -= options.presence_penalty;
  }
  return out;
}

// Returns the indices that locally typical sampling keeps, in ascending order.
// Probabilities must be in descending order.
std::vector<size_t> Typical(const std::vector<double>& p, double typical_p) {
  double entropy = 0;
  for (const double value : p) {
    if (value > 0) entropy -= value * std::log(value);
  }
  std::vector<size_t> order(p.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::abs(-std::log(p[a]) - entropy) <
           std::abs(-std::log(p[b]) - entropy);
  });
  size_t keep = 0;
  double reached = 0;
  while (keep < p.size() && (keep == 0 || reached < typical_p)) {
    reached += p[order[keep++]];
  }
  order.resize(keep);
  std::sort(order.begin(), order.end());
  return order;
}

// Returns the probability of each token after `sequence`, by the definitions in
// this order: bias and penalties, temperature, top_k, typical_p, top_p, min_p.
std::vector<double> ReferenceProbabilities(
    const std::vector<float>& raw, const SamplingOptions& options,
    const std::vector<TokenId>& sequence = {}) {
  const std::vector<double> logits = ReferenceLogits(raw, options, sequence);
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
      p.push_back(
          std::exp((logits[i] - logits[order[0]]) / options.temperature));
      sum += p.back();
    }
    for (double& value : p) value /= sum;
    return p;
  };
  std::vector<double> p = normalized();
  if (options.typical_p < 1) {
    std::vector<size_t> kept;
    for (const size_t i : Typical(p, options.typical_p)) {
      kept.push_back(order[i]);
    }
    order = kept;
    p = normalized();
  }
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
                             const SamplingOptions& options, size_t count,
                             const std::vector<TokenId>& sequence = {}) {
  Sampler sampler(options);
  sampler.Accept(sequence);
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

TEST(Sampler, TemperatureZeroTakesHighest) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const std::vector<float> logits = RandomVector(101, seed);
    const auto best = std::max_element(logits.begin(), logits.end());
    EXPECT_EQ(SampleOnce(logits, {.temperature = 0.0f, .seed = seed}),
              best - logits.begin());
    // Other options make no difference.
    EXPECT_EQ(
        SampleOnce(
            logits,
            {.temperature = 0.0f, .top_k = 0, .top_p = 0.0f, .min_p = 1.0f}),
        best - logits.begin());
  }
}

TEST(Sampler, TiesTakeLowerToken) {
  EXPECT_EQ(SampleOnce({1, 3, 2, 3, 3}, {.temperature = 0.0f}), 1);
  EXPECT_EQ(SampleOnce({0.0f, -0.0f}, {.temperature = 0.0f}), 0);
  EXPECT_EQ(SampleOnce({5, 5, 5}, {.temperature = 0.0f}), 0);
  EXPECT_EQ(SampleOnce({1, 3, 2, 3, 3}, {.top_k = 1}), 1);
  // The first three of five equal logits count as the most probable.
  SamplingOptions options = All();
  options.top_k = 3;
  const std::vector<TokenId> samples = Samples({5, 5, 5, 5, 5}, options, 200);
  EXPECT_EQ(std::set<TokenId>(samples.begin(), samples.end()),
            std::set<TokenId>({0, 1, 2}));
}

TEST(Sampler, SmallOptionsTakeHighest) {
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

// Returns Pearson's statistic of the counts. Tokens of small probability count
// as one; tokens of probability 0 must not occur.
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

// Whether samples are far from the expected distribution: more than six
// standard deviations. The statistic's mean is kept - 1, its variance 2 (kept -
// 1).
bool Differ(const std::vector<TokenId>& samples,
            const std::vector<double>& expected) {
  const auto kept = static_cast<double>(std::count_if(
      expected.begin(), expected.end(), [](double p) { return p > 0; }));
  return ChiSquare(samples, expected) > kept + 6 * std::sqrt(2 * kept) + 6;
}

// Logits whose probabilities range from a half to nearly 0.
std::vector<float> SpreadLogits() {
  std::vector<float> logits = RandomVector(24, 7);
  for (float& logit : logits) logit *= 3.0f;
  return logits;
}

TEST(Sampler, FrequenciesEqualTheReference) {
  const std::vector<float> logits = SpreadLogits();
  for (const float temperature : {0.5f, 1.0f, 2.0f}) {
    for (const size_t top_k : {size_t{0}, size_t{2}, size_t{7}, size_t{64}}) {
      for (const float top_p : {1.0f, 0.95f, 0.6f, 0.3f}) {
        for (const float min_p : {0.0f, 0.05f, 0.4f}) {
          for (const float typical_p : {1.0f, 0.5f}) {
            const SamplingOptions options = {.temperature = temperature,
                                             .top_k = top_k,
                                             .top_p = top_p,
                                             .min_p = min_p,
                                             .typical_p = typical_p,
                                             .seed = top_k + 3};
            EXPECT_FALSE(Differ(Samples(logits, options, 4000),
                                ReferenceProbabilities(logits, options)))
                << "temperature " << temperature << ", top_k " << top_k
                << ", top_p " << top_p << ", min_p " << min_p << ", typical_p "
                << typical_p;
          }
        }
      }
    }
  }
}

// A sequence with repetitions, of probable and improbable tokens.
const std::vector<TokenId> kSequence = {3,  9, 1, 1, 14, 22, 22, 22, 5, 0,
                                        17, 8, 9, 2, 11, 3,  1,  6,  9, 9};

TEST(Sampler, PenalizedFrequenciesEqualReference) {
  const std::vector<float> logits = SpreadLogits();
  const std::vector<std::vector<LogitBias>> biases = {
      {}, {{9, -1.5f}, {4, 2.0f}, {22, -kInfinity}, {13, 0.0f}}};
  size_t trials = 0;
  for (const float repetition : {1.0f, 1.4f, 0.7f}) {
    for (const float frequency : {0.0f, 0.6f, -0.3f}) {
      for (const float presence : {0.0f, 0.9f, -0.5f}) {
        for (const size_t window : {0, 6, 64}) {
          for (const std::vector<LogitBias>& bias : biases) {
            ++trials;
            const SamplingOptions options = {
                .top_k = trials % 2 == 0 ? 0u : 9u,
                .top_p = trials % 3 == 0 ? 0.8f : 1.0f,
                .typical_p = trials % 5 == 0 ? 0.9f : 1.0f,
                .repetition_penalty = repetition,
                .frequency_penalty = frequency,
                .presence_penalty = presence,
                .penalty_window = window,
                .logit_bias = bias,
                .seed = trials};
            EXPECT_FALSE(
                Differ(Samples(logits, options, 4000, kSequence),
                       ReferenceProbabilities(logits, options, kSequence)))
                << "repetition " << repetition << ", frequency " << frequency
                << ", presence " << presence << ", window " << window
                << ", biases " << bias.size();
          }
        }
      }
    }
  }
}

// The tests above would detect an option that has no effect.
TEST(Sampler, OtherOptionsChangeFrequencies) {
  const std::vector<float> logits = SpreadLogits();
  const SamplingOptions all = All();
  std::vector<SamplingOptions> others(8, all);
  others[0].temperature = 1.5f;
  others[1].typical_p = 0.9f;
  others[2].repetition_penalty = 1.4f;
  others[3].frequency_penalty = 0.6f;
  others[4].presence_penalty = 0.9f;
  others[5].logit_bias = {{4, 2.0f}};
  // These two also depend on the window, and on how often a token occurred.
  others[6].presence_penalty = 0.9f;
  others[6].penalty_window = 6;
  others[7].frequency_penalty = 0.9f;
  for (size_t i = 0; i < others.size(); ++i) {
    const std::vector<TokenId> samples =
        Samples(logits, others[i], 4000, kSequence);
    const SamplingOptions& plain = i < 6 ? all : others[4];
    EXPECT_TRUE(
        Differ(samples, ReferenceProbabilities(logits, plain, kSequence)))
        << "option " << i;
    EXPECT_FALSE(
        Differ(samples, ReferenceProbabilities(logits, others[i], kSequence)))
        << "option " << i;
  }
}

TEST(Sampler, TypicalKeepsAverageSurprise) {
  // Probabilities of 1/2, 1/4, 1/8, 1/8: surprises of 1, 2, 3 and 3 bits, 1.75
  // on average.
  const float half = std::log(2.0f);
  const std::vector<float> logits = {-3 * half, -half, -2 * half, -3 * half};
  const auto kept = [&](float typical_p) {
    SamplingOptions options = All();
    options.typical_p = typical_p;
    const std::vector<TokenId> samples = Samples(logits, options, 500);
    return std::set<TokenId>(samples.begin(), samples.end());
  };
  EXPECT_EQ(kept(0.0f), std::set<TokenId>({2}));
  EXPECT_EQ(kept(0.24f), std::set<TokenId>({2}));
  EXPECT_EQ(kept(0.26f), std::set<TokenId>({1, 2}));
  EXPECT_EQ(kept(0.74f), std::set<TokenId>({1, 2}));
  EXPECT_EQ(kept(0.76f), std::set<TokenId>({0, 1, 2}));  // the lower of a tie
  EXPECT_EQ(kept(0.88f), std::set<TokenId>({0, 1, 2, 3}));
}

// Returns the token of the highest logit after `sequence`.
TokenId Greedy(std::vector<float> logits, SamplingOptions options,
               const std::vector<TokenId>& sequence) {
  options.temperature = 0.0f;
  Sampler sampler(options);
  sampler.Accept(sequence);
  return sampler.Sample(absl::MakeSpan(logits));
}

TEST(Sampler, RepetitionPenaltyFormula) {
  const SamplingOptions options = {.repetition_penalty = 2.0f};
  EXPECT_EQ(Greedy({1.0f, 0.6f}, options, {}), 0);
  EXPECT_EQ(Greedy({1.0f, 0.6f}, options, {0}), 1);
  EXPECT_EQ(Greedy({1.0f, 0.4f}, options, {0, 0, 0}), 0);
  EXPECT_EQ(Greedy({-1.0f, -1.5f}, options, {0}), 1);
  EXPECT_EQ(Greedy({-1.0f, -1.5f}, options, {0, 1}), 0);
  EXPECT_EQ(Greedy({-1.0f, -1.5f}, {.repetition_penalty = 0.5f}, {1}), 1);
}

TEST(Sampler, FrequencyAndPresenceFormula) {
  // 2 - 3 * 0.25 - 0.5 = 0.75.
  const SamplingOptions options = {.frequency_penalty = 0.25f,
                                   .presence_penalty = 0.5f};
  EXPECT_EQ(Greedy({2.0f, 0.74f}, options, {0, 0, 0}), 0);
  EXPECT_EQ(Greedy({2.0f, 0.76f}, options, {0, 0, 0}), 1);
  EXPECT_EQ(Greedy({2.0f, 0.76f}, options, {0, 0}), 0);
  // After the repetition penalty: 2 / 2 - 0.25 - 0.5; after the bias:
  // (2 + 2) / 2 - 0.25 - 0.5.
  SamplingOptions both = options;
  both.repetition_penalty = 2.0f;
  EXPECT_EQ(Greedy({2.0f, 0.24f}, both, {0}), 0);
  EXPECT_EQ(Greedy({2.0f, 0.26f}, both, {0}), 1);
  both.logit_bias = {{0, 2.0f}};
  EXPECT_EQ(Greedy({2.0f, 1.24f}, both, {0}), 0);
  EXPECT_EQ(Greedy({2.0f, 1.26f}, both, {0}), 1);
}

TEST(Sampler, PenaltiesForgetOutsideWindow) {
  const std::vector<float> logits = {2.0f, 1.9f, 1.8f};
  SamplingOptions options = {
      .temperature = 0.0f, .presence_penalty = 1.0f, .penalty_window = 2};
  EXPECT_EQ(Greedy(logits, options, {0}), 1);
  EXPECT_EQ(Greedy(logits, options, {0, 1}), 2);
  EXPECT_EQ(Greedy(logits, options, {0, 1, 2}), 0);
  EXPECT_EQ(Greedy(logits, options, {0, 1, 1}), 0);
  EXPECT_EQ(Greedy(logits, options, {0, 0, 1}), 2);
  options.penalty_window = 0;
  EXPECT_EQ(Greedy(logits, options, {0, 1, 2}), 0);
  EXPECT_EQ(Greedy(logits, options, {0, 1, 1, 1, 1}), 2);
  // The default window is 64.
  std::vector<TokenId> sequence(64, 1);
  sequence[0] = 0;
  const SamplingOptions by_default = {.presence_penalty = 1.0f};
  EXPECT_EQ(Greedy(logits, by_default, sequence), 2);
  sequence.push_back(1);
  EXPECT_EQ(Greedy(logits, by_default, sequence), 0);
  // Accepting tokens one by one or together gives the same.
  Sampler sampler(options);
  for (const TokenId token : {0, 1}) {
    std::vector<float> copy = logits;
    EXPECT_EQ(sampler.Sample(absl::MakeSpan(copy)), token);
    sampler.Accept({&token, 1});
  }
}

TEST(Sampler, ForbiddenTokensNeverChosen) {
  const std::vector<float> logits = SpreadLogits();
  for (const float temperature : {0.0f, 0.3f, 100.0f}) {
    for (const size_t top_k : {0, 3, 64}) {
      SamplingOptions options = {
          .temperature = temperature, .top_k = top_k, .top_p = 1.0f};
      // Forbid one more token each time, until one is left.
      for (TokenId token = 23; token > 0; --token) {
        options.logit_bias.push_back({token, -kInfinity});
        for (const TokenId sampled : Samples(logits, options, 30)) {
          ASSERT_LT(sampled, token);
        }
      }
    }
  }
}

TEST(Sampler, IgnoresTokensOutsideVocabulary) {
  const std::vector<float> logits = SpreadLogits();
  SamplingOptions options = {.frequency_penalty = 0.5f, .seed = 5};
  const std::vector<TokenId> expected = Samples(logits, options, 100, {3, 4});
  options.logit_bias = {{24, 9.0f}, {INT32_MAX, 9.0f}};
  EXPECT_EQ(Samples(logits, options, 100, {24, -1, 3, INT32_MIN, INT32_MAX, 4}),
            expected);
}

// ---------------------------------------------------------------------------
// The largest logits are enough

TEST(Sampler, NumberOfCandidates) {
  const auto candidates = [](const SamplingOptions& options) {
    return Sampler(options).num_candidates();
  };
  EXPECT_EQ(candidates({}), 64u);
  EXPECT_EQ(candidates({.temperature = 0.0f}), 1u);
  EXPECT_EQ(candidates({.top_k = 0}), 0u);
  EXPECT_EQ(candidates({.top_k = SIZE_MAX}), 0u);
  EXPECT_EQ(candidates({.typical_p = 0.5f}), 64u);
  // Penalties that lower logits.
  EXPECT_EQ(candidates({.repetition_penalty = 1.1f}), 128u);
  EXPECT_EQ(candidates({.temperature = 0.0f, .frequency_penalty = 0.1f}), 65u);
  EXPECT_EQ(candidates({.presence_penalty = 0.1f, .penalty_window = 10}), 74u);
  EXPECT_EQ(candidates({.penalty_window = 10}), 64u);
  // Penalties that raise logits, or lower those of any number of tokens.
  EXPECT_EQ(candidates({.repetition_penalty = 0.9f}), 0u);
  EXPECT_EQ(candidates({.frequency_penalty = -0.1f}), 0u);
  EXPECT_EQ(candidates({.presence_penalty = -0.1f}), 0u);
  EXPECT_EQ(candidates({.presence_penalty = 0.1f, .penalty_window = 0}), 0u);
  EXPECT_EQ(candidates({.top_k = 0, .presence_penalty = 0.1f}), 0u);
  EXPECT_EQ(candidates({.presence_penalty = 0.1f, .penalty_window = SIZE_MAX}),
            0u);
  EXPECT_EQ(candidates({.top_k = SIZE_MAX, .presence_penalty = 0.1f}), 0u);
  // Biases.
  EXPECT_EQ(candidates({.logit_bias = {{3, -1.0f}, {4, -kInfinity}}}), 66u);
  EXPECT_EQ(candidates({.logit_bias = {{3, -1.0f}, {4, 0.5f}}}), 0u);
  EXPECT_EQ(candidates({.repetition_penalty = 1.1f, .logit_bias = {{3, -1}}}),
            129u);
}

// Returns logits as Session::ForwardTop does: the k largest and all that equal
// the last of them; the others are -infinity.
std::vector<float> Largest(std::vector<float> logits, size_t k) {
  std::vector<float> ranked = logits;
  std::sort(ranked.begin(), ranked.end(), std::greater<>());
  for (float& logit : logits) {
    if (k < ranked.size() && logit < ranked[k - 1]) logit = -kInfinity;
  }
  return logits;
}

// Returns options that only lower logits and keep few tokens.
SamplingOptions Lowering(std::mt19937& random) {
  SamplingOptions options;
  options.temperature = static_cast<float>(random() % 3);
  options.top_k = 1 + random() % 8;
  options.top_p = random() % 2 == 0 ? 1.0f : 0.8f;
  options.typical_p = random() % 2 == 0 ? 1.0f : 0.8f;
  options.repetition_penalty = random() % 2 == 0 ? 1.0f : 1.5f;
  options.frequency_penalty = random() % 2 == 0 ? 0.0f : 0.7f;
  options.presence_penalty = random() % 2 == 0 ? 0.0f : 1.2f;
  options.penalty_window = 1 + random() % 20;
  for (TokenId token = 0; token < 300; token += 7) {
    if (random() % 3 == 0) {
      options.logit_bias.push_back(
          {token, random() % 2 == 0 ? -kInfinity : -2.0f});
    }
  }
  options.seed = random();
  return options;
}

// Samples and accepts 30 tokens. `k`: how many of the largest logits the
// sampler sees.
std::vector<TokenId> Answer(const SamplingOptions& options, uint64_t seed,
                            size_t k) {
  Sampler sampler(options);
  std::vector<TokenId> tokens;
  for (size_t step = 0; step < 30; ++step) {
    // The same few tokens are probable again and again. Many logits are equal.
    std::vector<float> logits = RandomVector(300, seed + step % 3);
    for (float& logit : logits) logit = std::round(logit * 40) / 8;
    logits = Largest(std::move(logits), k);
    tokens.push_back(sampler.Sample(absl::MakeSpan(logits)));
    sampler.Accept({&tokens.back(), 1});
  }
  return tokens;
}

TEST(Sampler, LargestLogitsAreEnough) {
  std::mt19937 random(11);
  size_t fewer_differ = 0;
  for (uint64_t trial = 0; trial < 200; ++trial) {
    const SamplingOptions options = Lowering(random);
    ASSERT_TRUE(Validate(options).ok());
    const size_t enough = Sampler(options).num_candidates();
    ASSERT_GT(enough, 0u);
    ASSERT_LT(enough, 100u);
    const std::vector<TokenId> all = Answer(options, trial, 300);
    ASSERT_EQ(Answer(options, trial, enough), all) << "trial " << trial;
    if (Answer(options, trial, options.top_k) != all) ++fewer_differ;
  }
  // The top_k largest logits alone are not enough.
  EXPECT_GT(fewer_differ, 50u);
}

// The token that reaches top_p is kept.
TEST(Sampler, TopPReachesThreshold) {
  // Probabilities of 1/2, 1/4, 1/8, 1/8. Thresholds leave room for rounding.
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

TEST(Sampler, SameSeedSameChoices) {
  const std::vector<float> logits = RandomVector(300, 9);
  const std::vector<TokenId> first = Samples(logits, {.seed = 42}, 100);
  EXPECT_EQ(Samples(logits, {.seed = 42}, 100), first);
  EXPECT_NE(Samples(logits, {.seed = 43}, 100), first);
  EXPECT_GT(std::set<TokenId>(first.begin(), first.end()).size(), 10u);
}

TEST(Sampler, SingleLogitIsChosen) {
  for (const float logit : {0.0f, -1e30f, kInfinity, -kInfinity, kNaN}) {
    for (const float temperature : {0.0f, 1.0f}) {
      EXPECT_EQ(SampleOnce({logit}, {.temperature = temperature}), 0);
    }
  }
}

TEST(Sampler, NanNeverChosen) {
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

TEST(Sampler, MinusInfinityNeverChosen) {
  const std::vector<TokenId> samples =
      Samples({-kInfinity, 1, -kInfinity, 0, -kInfinity}, All(), 300);
  EXPECT_EQ(std::set<TokenId>(samples.begin(), samples.end()),
            std::set<TokenId>({1, 3}));
}

TEST(Sampler, AnyLogitsGiveToken) {
  const float values[] = {0,      -0.0f, 1,         1e38f,      -1e38f,
                          1e-45f, kNaN,  kInfinity, -kInfinity, 3e38f};
  const float temperatures[] = {0, 1e-45f, 1e-3f, 1, 1e38f};
  const float penalties[] = {0, 1e-45f, -0.5f, 1, 3e38f, -3e38f};
  const float biases[] = {0, 3e38f, -3e38f, -kInfinity, 1};
  std::mt19937 random(3);
  const auto one_of = [&](const auto& choices) {
    return choices[random() % std::size(choices)];
  };
  for (int trial = 0; trial < 5000; ++trial) {
    std::vector<float> logits(1 + random() % 12);
    for (float& logit : logits) logit = one_of(values);
    SamplingOptions options = {
        .temperature = one_of(temperatures),
        .top_k = random() % 4,
        .top_p = static_cast<float>(random() % 3) / 2.0f,
        .min_p = static_cast<float>(random() % 3) / 2.0f,
        .typical_p = static_cast<float>(random() % 3) / 2.0f,
        .repetition_penalty = std::abs(one_of(penalties)) + 1e-45f,
        .frequency_penalty = one_of(penalties),
        .presence_penalty = one_of(penalties),
        .penalty_window = random() % 4,
        .seed = random()};
    for (TokenId token = 0; token < 12; ++token) {
      if (random() % 4 == 0) {
        options.logit_bias.push_back({token, one_of(biases)});
      }
    }
    ASSERT_EQ(ErrorOf(Validate(options)), "OK");
    Sampler sampler(options);
    sampler.Accept({0, 3, 0, 5, 1});
    const TokenId token = sampler.Sample(absl::MakeSpan(logits));
    ASSERT_GE(token, 0);
    ASSERT_LT(token, static_cast<TokenId>(logits.size()));
  }
}

TEST(SamplingOptions, AcceptsDefaultsAndLimits) {
  EXPECT_EQ(ErrorOf(Validate(SamplingOptions())), "OK");
  EXPECT_EQ(ErrorOf(Validate(SamplingOptions{.temperature = 0.0f,
                                             .top_k = 0,
                                             .top_p = 0.0f,
                                             .min_p = 0.0f,
                                             .typical_p = 0.0f,
                                             .repetition_penalty = 1e-45f,
                                             .frequency_penalty = -3e38f,
                                             .presence_penalty = -3e38f,
                                             .penalty_window = 0,
                                             .logit_bias = {{0, -kInfinity}}})),
            "OK");
  EXPECT_EQ(ErrorOf(Validate(
                SamplingOptions{.temperature = 1e30f,
                                .top_k = SIZE_MAX,
                                .top_p = 1.0f,
                                .min_p = 1.0f,
                                .typical_p = 1.0f,
                                .repetition_penalty = 3e38f,
                                .frequency_penalty = 3e38f,
                                .presence_penalty = 3e38f,
                                .penalty_window = SIZE_MAX,
                                .logit_bias = {{INT32_MAX, 3e38f}, {0, 1}},
                                .seed = UINT64_MAX})),
            "OK");
}

TEST(SamplingOptions, NamesOutOfRange) {
  EXPECT_EQ(ErrorOf(Validate(SamplingOptions{.temperature = -1.0f})),
            "temperature is -1, wanted 0 or more");
  EXPECT_EQ(ErrorOf(Validate(SamplingOptions{.temperature = kNaN})),
            "temperature is nan, wanted 0 or more");
  EXPECT_THAT(ErrorOf(Validate(SamplingOptions{.temperature = kInfinity})),
              HasSubstr("temperature is inf"));
  for (const float value : {-0.01f, 1.01f, kNaN, kInfinity}) {
    EXPECT_THAT(ErrorOf(Validate(SamplingOptions{.top_p = value})),
                AllOf(HasSubstr("top_p is "), HasSubstr("wanted 0 to 1")));
    EXPECT_THAT(ErrorOf(Validate(SamplingOptions{.min_p = value})),
                AllOf(HasSubstr("min_p is "), HasSubstr("wanted 0 to 1")));
    EXPECT_THAT(ErrorOf(Validate(SamplingOptions{.typical_p = value})),
                AllOf(HasSubstr("typical_p is "), HasSubstr("wanted 0 to 1")));
  }
  for (const float value : {0.0f, -1.0f, kNaN, kInfinity}) {
    EXPECT_THAT(ErrorOf(Validate(SamplingOptions{.repetition_penalty = value})),
                AllOf(HasSubstr("repetition_penalty is "),
                      HasSubstr("wanted more than 0")));
  }
  for (const float value : {kNaN, kInfinity, -kInfinity}) {
    EXPECT_THAT(ErrorOf(Validate(SamplingOptions{.frequency_penalty = value})),
                AllOf(HasSubstr("frequency_penalty is "),
                      HasSubstr("wanted a finite number")));
    EXPECT_THAT(ErrorOf(Validate(SamplingOptions{.presence_penalty = value})),
                AllOf(HasSubstr("presence_penalty is "),
                      HasSubstr("wanted a finite number")));
  }
  EXPECT_EQ(ErrorOf(Validate(SamplingOptions{.logit_bias = {{3, 0}, {-1, 0}}})),
            "a token of logit_bias is -1, wanted 0 or more");
  EXPECT_EQ(ErrorOf(Validate(SamplingOptions{.logit_bias = {{7, kInfinity}}})),
            "logit_bias of token 7 is inf, wanted a finite number or "
            "-infinity");
  EXPECT_THAT(ErrorOf(Validate(SamplingOptions{.logit_bias = {{7, kNaN}}})),
              HasSubstr("logit_bias of token 7 is nan"));
  EXPECT_EQ(ErrorOf(Validate(
                SamplingOptions{.logit_bias = {{7, 1}, {8, 1}, {7, 1}}})),
            "logit_bias has token 7 twice, wanted once");
}

}  // namespace
}  // namespace gemma::internal
