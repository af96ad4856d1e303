// Compares the probabilities of tokens that Generate reports with the softmax
// of the logits that Session computes.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "gemma/generate.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/generate/scored_tokens.h"
#include "tests/support/error_of.h"
#include "tests/support/mixed_model.h"
#include "tests/support/near.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::AnyOf;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// log(softmax(logits)).
template <class Logits>
std::vector<double> LogSoftmax(const Logits& logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - largest);
  std::vector<double> out;
  for (const float logit : logits) {
    out.push_back(logit - largest - std::log(sum));
  }
  return out;
}

TEST(LogProbabilities, EqualLogSoftmax) {
  for (const float scale : {0.0f, 1.0f, 50.0f, 1e30f}) {
    std::vector<float> logits = RandomVector(1000, 3);
    for (float& logit : logits) logit *= scale;
    const std::vector<double> expected = LogSoftmax(logits);
    const LogProbabilities actual(logits);
    for (size_t i = 0; i < logits.size(); ++i) {
      ASSERT_NEAR(actual[static_cast<TokenId>(i)], expected[i],
                  1e-12 * std::max(1.0f, scale));
    }
  }
  EXPECT_NEAR(LogProbabilities({1.0f, -kInf})[0], 0, 1e-15);
  EXPECT_EQ(LogProbabilities({1.0f, -kInf})[1], -kInf);
}

TEST(LogProbabilities, NanLogitGivesNan) {
  for (const std::vector<float>& logits :
       {std::vector<float>{kNan, 1, 2}, {1, kNan, 2}, {1, 2, kNan}}) {
    for (const TokenId token : {0, 1, 2}) {
      EXPECT_TRUE(std::isnan(LogProbabilities(logits)[token]));
    }
  }
}

TEST(TopTokens, AreLargestInOrder) {
  for (const size_t size : {1, 2, 17, 300}) {
    // Round the values, so that many are equal.
    std::vector<float> logits = RandomVector(size, size);
    for (float& logit : logits) logit = std::round(logit * 8);
    std::vector<TokenId> expected(size);
    std::iota(expected.begin(), expected.end(), TokenId{0});
    std::stable_sort(
        expected.begin(), expected.end(),
        [&](TokenId a, TokenId b) { return logits[a] > logits[b]; });
    for (const size_t k : {size_t{0}, size_t{1}, size_t{5}, size, SIZE_MAX}) {
      std::vector<TokenLogit> top = {{99, 1.0f}};
      FindTopTokens(logits, k, top);
      ASSERT_EQ(top.size(), std::min(k, size));
      for (size_t i = 0; i < top.size(); ++i) {
        EXPECT_EQ(top[i].token, expected[i]);
        EXPECT_EQ(top[i].logit, logits[expected[i]]);
      }
    }
  }
}

// ---------------------------------------------------------------------------
// Generate

// The tokens that on_token received, and the answer's text and stats.
struct Told {
  std::vector<ScoredToken> tokens;
  std::string text;
  GenerateStats stats;
};

class GenerateScored : public MixedModelTest {
 protected:
  static const Tokenizer& tokenizer() { return **model_->tokenizer(); }

  static Told Ask(Session& session, const std::vector<TokenId>& prompt,
                  GenerateOptions options) {
    Told told;
    options.on_token = [&](const ScoredToken& token) {
      told.tokens.push_back(token);
    };
    const absl::StatusOr<GenerateStats> stats =
        Generate(session, prompt, options, [&](std::string_view text) {
          told.text.append(text);
          return true;
        });
    EXPECT_EQ(ErrorOf(stats.status()), "OK");
    if (stats.ok()) told.stats = *stats;
    return told;
  }

  // Compares `told`, about the last tokens of `session`, with logits that are
  // computed again, token by token.
  static void Check(const Session& session,
                    const std::vector<ScoredToken>& told,
                    size_t num_alternatives) {
    const std::vector<TokenId> tokens(session.tokens().begin(),
                                      session.tokens().end());
    ASSERT_LE(told.size(), tokens.size());
    const size_t begin = tokens.size() - told.size();
    Session again = NewSession(*model_, {.max_tokens = 512});
    std::vector<double> expected;  // of the token at i
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (i >= begin && !(i == begin && !told[0].log_probability)) {
        CheckOne(told[i - begin], tokens[i], expected, num_alternatives);
      }
      const auto logits = again.Forward({&tokens[i], 1});
      ASSERT_TRUE(logits.ok());
      expected = LogSoftmax(*logits);
    }
  }

  static void CheckOne(const ScoredToken& told, TokenId token,
                       const std::vector<double>& expected,
                       size_t num_alternatives) {
    EXPECT_EQ(told.token, token);
    EXPECT_EQ(told.piece, tokenizer().Piece(token));
    ASSERT_TRUE(told.log_probability.has_value());
    EXPECT_NEAR(*told.log_probability, expected[token], 1e-9);
    std::vector<TokenId> order(expected.size());
    std::iota(order.begin(), order.end(), TokenId{0});
    std::stable_sort(order.begin(), order.end(), [&](TokenId a, TokenId b) {
      return expected[a] > expected[b];
    });
    ASSERT_EQ(told.alternatives.size(), num_alternatives);
    for (size_t i = 0; i < num_alternatives; ++i) {
      const TokenProbability& other = told.alternatives[i];
      EXPECT_EQ(other.token, order[i]);
      EXPECT_EQ(other.piece, tokenizer().Piece(order[i]));
      EXPECT_NEAR(other.log_probability, expected[order[i]], 1e-9);
    }
  }

  const std::vector<TokenId> kPrompt = {2, 300, 310, 320};
};

TEST_F(GenerateScored, TellsModelLogProbabilities) {
  // Temperature, penalties and biases change the logits only afterwards.
  SamplingOptions samplings[4];
  samplings[0].temperature = 0.0f;
  samplings[1] = {.temperature = 2.0f, .top_k = 3, .seed = 4};
  samplings[2] = {.repetition_penalty = 1.5f, .presence_penalty = 2.0f};
  samplings[3] = {.logit_bias = {{300, 20.0f}, {301, -kInf}}, .seed = 2};
  for (const SamplingOptions& sampling : samplings) {
    for (const size_t num_alternatives : {0, 1, 7, 512}) {
      GenerateOptions options;
      options.max_new_tokens = 24;
      options.sampling = sampling;
      options.num_alternatives = num_alternatives;
      Session session = NewSession(*model_);
      const Told told = Ask(session, kPrompt, options);
      EXPECT_GT(told.stats.new_tokens, 0u);
      EXPECT_EQ(told.tokens.size(), told.stats.new_tokens);
      Check(session, told.tokens, num_alternatives);
    }
  }
}

TEST_F(GenerateScored, SameAnswerAsUnscored) {
  for (uint64_t seed = 0; seed < 8; ++seed) {
    GenerateOptions options;
    options.max_new_tokens = 40;
    options.sampling = {.temperature = 1.3f,
                        .presence_penalty = 0.3f,
                        .logit_bias = {{305, -kInf}},
                        .seed = seed};
    Session plain = NewSession(*model_);
    ASSERT_TRUE(Generate(plain, kPrompt, options, [](std::string_view) {
                  return true;
                }).ok());
    for (const bool score_prompt : {false, true}) {
      options.num_alternatives = 3;
      options.score_prompt = score_prompt;
      Session session = NewSession(*model_);
      const Told told = Ask(session, kPrompt, options);
      EXPECT_EQ(session.tokens(), plain.tokens());
      EXPECT_EQ(told.stats.prompt_tokens, kPrompt.size());
      EXPECT_EQ(told.tokens.size(),
                told.stats.new_tokens + (score_prompt ? kPrompt.size() : 0));
    }
  }
}

TEST_F(GenerateScored, TellsThePromptsToo) {
  // Sizes around the number of positions computed at once.
  for (const size_t size : {1, 2, 31, 32, 33, 64, 70}) {
    std::vector<TokenId> prompt = {2};
    for (size_t i = 1; i < size; ++i) {
      prompt.push_back(static_cast<TokenId>(290 + i * 13 % 200));
    }
    GenerateOptions options;
    options.max_new_tokens = 4;
    options.num_alternatives = 2;
    options.score_prompt = true;
    Session session = NewSession(*model_);
    const Told told = Ask(session, prompt, options);
    ASSERT_EQ(told.tokens.size(), size + told.stats.new_tokens);
    EXPECT_EQ(told.tokens[0].token, 2);
    EXPECT_EQ(told.tokens[0].piece, tokenizer().Piece(2));
    EXPECT_FALSE(told.tokens[0].log_probability.has_value());
    EXPECT_TRUE(told.tokens[0].alternatives.empty());
    Check(session, told.tokens, 2);
  }
}

TEST_F(GenerateScored, TellsASecondPrompt) {
  GenerateOptions options;
  options.max_new_tokens = 4;
  options.score_prompt = true;
  Session session = NewSession(*model_);
  Ask(session, kPrompt, options);
  const std::vector<TokenId> next = {301, 302, 303};
  const Told told = Ask(session, next, options);
  EXPECT_EQ(told.tokens.size(), 3 + told.stats.new_tokens);
  EXPECT_EQ(told.tokens[0].token, 301);
  EXPECT_FALSE(told.tokens[0].log_probability.has_value());
  Check(session, told.tokens, 0);
}

TEST_F(GenerateScored, TokensPrecedeText) {
  GenerateOptions options;
  options.max_new_tokens = 40;
  options.sampling.seed = 3;
  std::vector<TokenId> tokens;
  std::string text;
  options.on_token = [&](const ScoredToken& token) {
    EXPECT_TRUE(tokenizer().Decode(tokens).starts_with(text));
    tokens.push_back(token.token);
  };
  Session session = NewSession(*model_);
  ASSERT_TRUE(Generate(session, kPrompt, options, [&](std::string_view more) {
                text.append(more);
                EXPECT_FALSE(tokens.empty());
                return true;
              }).ok());
  EXPECT_EQ(tokenizer().Decode(tokens), text);
}

TEST_F(GenerateScored, CancelledDuringThePrompt) {
  GenerateOptions options;
  options.score_prompt = true;
  size_t calls = 0;
  options.cancelled = [&] { return ++calls == 2; };
  Session session = NewSession(*model_);
  const Told told = Ask(session, std::vector<TokenId>(100, 300), options);
  EXPECT_EQ(told.stats.stop_reason, StopReason::kCancelled);
  EXPECT_EQ(told.stats.new_tokens, 0u);
  EXPECT_EQ(told.tokens.size(), 64u);
  EXPECT_EQ(session.position(), 64u);
}

TEST_F(GenerateScored, BadPromptsTellNothing) {
  GenerateOptions options;
  options.score_prompt = true;
  options.on_token = [](const ScoredToken&) { ADD_FAILURE() << "a token"; };
  Session session = NewSession(*model_, {.max_tokens = 60});
  std::vector<TokenId> long_prompt(61, 5);
  for (const std::vector<TokenId>& prompt :
       {std::vector<TokenId>{}, {5, -1}, {512}, long_prompt}) {
    EXPECT_FALSE(Generate(session, prompt, options, [](std::string_view) {
                   return true;
                 }).ok());
    EXPECT_EQ(session.position(), 0u);
  }
}

TEST_F(GenerateScored, RefusesBiasOutsideVocabulary) {
  GenerateOptions options;
  options.sampling.logit_bias = {{511, 1.0f}, {512, 1.0f}};
  Session session = NewSession(*model_);
  const auto stats = Generate(session, kPrompt, options,
                              [](std::string_view) { return true; });
  EXPECT_TRUE(absl::IsInvalidArgument(stats.status()));
  EXPECT_EQ(ErrorOf(stats.status()),
            "token 1 of logit_bias is 512, wanted 0 to 511");
  EXPECT_EQ(session.position(), 0u);
}

// ---------------------------------------------------------------------------
// Penalties and bias in Generate

TEST_F(GenerateScored, PenaltiesCountWholeSequence) {
  GenerateOptions options;
  options.max_new_tokens = 1;
  // A negative penalty is a reward: only tokens that occurred are chosen.
  options.sampling = {.temperature = 0.0f, .presence_penalty = -1000.0f};
  const auto next = [&](const std::vector<TokenId>& before,
                        const std::vector<TokenId>& prompt) {
    Session session = NewSession(*model_);
    if (!before.empty()) {
      EXPECT_TRUE(session.Append(before).ok());
    }
    const Told told = Ask(session, prompt, options);
    EXPECT_EQ(told.tokens.size(), 1u);
    return told.tokens.empty() ? -1 : told.tokens[0].token;
  };
  const TokenId favoured = next({}, {2, 300, 310, 320});
  EXPECT_THAT(favoured, AnyOf(2, 300, 310, 320));
  // The part of the sequence that is the prompt makes no difference.
  EXPECT_EQ(next({2, 300, 310}, {320}), favoured);
  options.sampling.penalty_window = 1;
  EXPECT_EQ(next({}, {2, 300, 310, 320}), 320);
  EXPECT_EQ(next({2, 300, 320}, {310}), 310);
  options.sampling.penalty_window = 2;
  EXPECT_THAT(next({2, 300, 310}, {320}), AnyOf(310, 320));
  // The tokens of the answer count too.
  options.sampling.penalty_window = 1;
  options.max_new_tokens = 5;
  Session session = NewSession(*model_);
  for (const ScoredToken& token : Ask(session, {2, 300}, options).tokens) {
    EXPECT_EQ(token.token, 300);
  }
  options.sampling.presence_penalty = 1000.0f;
  TokenId last = 300;
  for (const ScoredToken& token : Ask(session, {300}, options).tokens) {
    EXPECT_NE(token.token, last);
    last = token.token;
  }
}

TEST_F(GenerateScored, BiasChoosesAndForbids) {
  GenerateOptions options;
  options.max_new_tokens = 10;
  options.sampling.logit_bias = {{333, 1000.0f}};
  Session session = NewSession(*model_);
  for (const ScoredToken& token : Ask(session, kPrompt, options).tokens) {
    EXPECT_EQ(token.token, 333);
  }
  // Forbid the most probable token again and again.
  options.max_new_tokens = 1;
  options.sampling = {.temperature = 0.0f};
  std::vector<TokenId> seen;
  for (int i = 0; i < 5; ++i) {
    Session other = NewSession(*model_);
    const Told told = Ask(other, kPrompt, options);
    ASSERT_EQ(told.tokens.size(), 1u);
    const TokenId token = told.tokens[0].token;
    EXPECT_EQ(std::count(seen.begin(), seen.end(), token), 0);
    seen.push_back(token);
    options.sampling.logit_bias.push_back({token, -kInf});
  }
}

}  // namespace
}  // namespace gemma::internal
