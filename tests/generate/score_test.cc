// Compares scores of choices with sums from the logits that Session computes.

#include "gemma/score.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "gemma/error_reason.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/error_of.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::StartsWith;

using Tokens = std::vector<TokenId>;

// Returns `size` tokens, which differ between values of `start`.
Tokens SomeTokens(size_t size, TokenId start) {
  Tokens tokens;
  for (size_t i = 0; i < size; ++i) {
    tokens.push_back(3 + (start + static_cast<TokenId>(i) * 37) % 250);
  }
  return tokens;
}

// log(softmax(logits))[token].
double LogProbability(const float* logits, size_t size, TokenId token) {
  const double largest = *std::max_element(logits, logits + size);
  double sum = 0;
  for (size_t i = 0; i < size; ++i) sum += std::exp(logits[i] - largest);
  return logits[token] - largest - std::log(sum);
}

// Returns the log-probabilities of the tokens of `choice` after `before`, from
// the logits of all positions, computed at once.
std::vector<double> Expected(const Model& model, Tokens before,
                             const Tokens& choice) {
  const size_t vocab_size = model.config().vocab_size;
  const size_t begin = before.size();
  before.insert(before.end(), choice.begin(), choice.end());
  const std::vector<float> logits = AllLogits(model, before);
  std::vector<double> out;
  for (size_t i = begin; i < before.size(); ++i) {
    out.push_back(LogProbability(logits.data() + (i - 1) * vocab_size,
                                 vocab_size, before[i]));
  }
  return out;
}

void ExpectScore(const ChoiceScore& actual,
                 const std::vector<double>& expected) {
  ASSERT_EQ(actual.token_log_probabilities.size(), expected.size());
  double sum = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(actual.token_log_probabilities[i], expected[i], 1e-9);
    sum += expected[i];
  }
  EXPECT_NEAR(actual.log_probability, sum, 1e-9);
  EXPECT_LT(actual.log_probability, 0);
}

class ScoreToy : public ::testing::TestWithParam<Toy> {};

INSTANTIATE_TEST_SUITE_P(Toys, ScoreToy, ::testing::ValuesIn(AllToys()),
                         [](const auto& toy) { return toy.param.name; });

TEST_P(ScoreToy, SumsLogProbabilities) {
  const Model model = LoadToy(GetParam());
  const Tokens prompt = SomeTokens(21, 5);
  // Sizes around the number of rows computed at once, and around max_rollback.
  std::vector<Tokens> choices;
  for (const size_t size : {1, 2, 16, 17, 18, 40, 1, 33}) {
    choices.push_back(SomeTokens(size, static_cast<TokenId>(choices.size())));
  }
  for (const SessionOptions& options :
       {SessionOptions{.max_tokens = 64},
        SessionOptions{
            .max_tokens = 64, .max_rollback = 0, .max_checkpoints = 0},
        SessionOptions{.max_tokens = 64,
        .max_rollback = 3,
        .checkpoint_interval = 5,
        .max_checkpoints = 2}}) {
    Session session = NewSession(model, options);
    const auto scores = Score(session, prompt, choices);
    ASSERT_EQ(ErrorOf(scores.status()), "OK");
    ASSERT_EQ(scores->size(), choices.size());
    for (size_t i = 0; i < choices.size(); ++i) {
      SCOPED_TRACE(testing::Message() << "choice " << i);
      ExpectScore((*scores)[i], Expected(model, prompt, choices[i]));
    }
    // The session holds the prompt, as if nothing else had been appended.
    EXPECT_EQ(TokensOf(session), prompt);
    Session other = NewSession(model, options);
    ASSERT_TRUE(other.Append(prompt).ok());
    const TokenId next = 7;
    const auto actual = session.Forward({&next, 1});
    const auto expected = other.Forward({&next, 1});
    ASSERT_TRUE(actual.ok() && expected.ok());
    EXPECT_EQ(*actual, *expected);
  }
}

TEST_P(ScoreToy, FollowsSessionTokens) {
  const Model model = LoadToy(GetParam());
  const Tokens before = SomeTokens(9, 1);
  const Tokens prompt = SomeTokens(4, 50);
  Tokens whole = before;
  whole.insert(whole.end(), prompt.begin(), prompt.end());
  Session session = NewSession(model, {.max_tokens = 32});
  ASSERT_TRUE(session.Append(before).ok());
  const std::vector<Tokens> choices = {{5, 6, 7}, {8}};
  const auto scores = Score(session, prompt, choices);
  ASSERT_EQ(ErrorOf(scores.status()), "OK");
  ExpectScore((*scores)[0], Expected(model, whole, choices[0]));
  ExpectScore((*scores)[1], Expected(model, whole, choices[1]));
  EXPECT_EQ(TokensOf(session), whole);
}

TEST(Score, TokensSumToOne) {
  const Model model = LoadToy(AllToys()[0]);
  std::vector<Tokens> choices;
  const auto vocab_size = static_cast<TokenId>(model.config().vocab_size);
  for (TokenId token = 0; token < vocab_size; ++token) {
    choices.push_back({token});
  }
  Session session = NewSession(model);
  const auto scores = Score(session, {2, 17}, choices);
  ASSERT_EQ(ErrorOf(scores.status()), "OK");
  double sum = 0;
  for (const ChoiceScore& score : *scores) {
    sum += std::exp(score.log_probability);
  }
  EXPECT_NEAR(sum, 1, 1e-9);
}

TEST(Score, KnowsGreedyChoices) {
  for (const Toy& toy : AllToys()) {
    SCOPED_TRACE(toy.name);
    const Model model = LoadToy(toy);
    const Tokens prompt = SomeTokens(6, 5);
    // The most probable tokens, in more pieces than one.
    Tokens greedy;
    Session session = NewSession(model, {.max_tokens = 64});
    auto logits = session.Forward(prompt);
    for (size_t i = 0; i < 20; ++i) {
      ASSERT_EQ(ErrorOf(logits.status()), "OK");
      greedy.push_back(static_cast<TokenId>(
          std::max_element(logits->begin(), logits->end()) - logits->begin()));
      logits = session.Forward({&greedy.back(), 1});
    }
    const TokenId first = greedy.front();
    Tokens other_first = greedy, other_last = greedy;
    other_first.front() = first == 9 ? 10 : 9;
    other_last.back() = greedy.back() == 9 ? 10 : 9;
    Session scoring = NewSession(model, {.max_tokens = 64});
    const auto scores =
        Score(scoring, prompt,
              std::vector<Tokens>{greedy, {first}, other_first, other_last});
    ASSERT_EQ(ErrorOf(scores.status()), "OK");
    EXPECT_TRUE((*scores)[0].is_greedy);
    EXPECT_TRUE((*scores)[1].is_greedy);
    EXPECT_FALSE((*scores)[2].is_greedy);
    EXPECT_FALSE((*scores)[3].is_greedy);
  }
}

TEST(Score, ComputesPromptOnce) {
  for (const Toy& toy : AllToys()) {
    const Model model = LoadToy(toy);
    Session session = NewSession(model, {.max_tokens = 128, .max_rollback = 4});
    size_t rows = 0;
    session.SetTap([&](const TapSite& site, absl::Span<float>) {
      if (site.point == TapPoint::kBlockOutput && site.layer == 0) {
        rows += site.num_rows;
      }
    });
    const std::vector<Tokens> choices(5, SomeTokens(11, 3));
    ASSERT_EQ(ErrorOf(Score(session, SomeTokens(40, 5), choices).status()),
              "OK");
    EXPECT_EQ(rows, 40u + 5 * 10) << toy.name;
  }
}

TEST(Score, BadArgumentsChangeNothing) {
  const Model model = LoadToy(AllToys()[0]);
  const auto vocab_size = static_cast<TokenId>(model.config().vocab_size);
  Session session = NewSession(model, {.max_tokens = 8});
  ASSERT_TRUE(session.Append({2, 5}).ok());
  const auto error = [&](const Tokens& prompt,
                         const std::vector<Tokens>& choices) {
    const auto scores = Score(session, prompt, choices);
    EXPECT_FALSE(scores.ok());
    EXPECT_EQ(TokensOf(session), Tokens({2, 5}));
    return ErrorOf(scores.status());
  };
  EXPECT_EQ(error({3}, {}), "there are no choices, wanted 1 or more");
  EXPECT_EQ(error({3}, {{4}, {}}), "choice 1 has no tokens, wanted 1 or more");
  EXPECT_EQ(error({}, {{4}}), "there are no tokens, wanted 1 or more");
  EXPECT_EQ(error({3}, {{4}, {4, -1}}),
            "token 1 of choice 1 is -1, wanted 0 to " +
                std::to_string(vocab_size - 1));
  EXPECT_EQ(error({3}, {{4, vocab_size}}),
            "token 1 of choice 0 is " + std::to_string(vocab_size) +
                ", wanted 0 to " + std::to_string(vocab_size - 1));
  EXPECT_EQ(error({3, vocab_size}, {{4}}),
            "token 1 of the input is " + std::to_string(vocab_size) +
                ", wanted 0 to " + std::to_string(vocab_size - 1));
  EXPECT_EQ(error({3, 4, 5}, {{6, 7, 8}, {6, 7, 8, 9}}),
            "the prompt has 3 tokens and choice 1 4, the context has room for "
            "6");
  EXPECT_TRUE(
      absl::IsOutOfRange(Score(session, Tokens(7, 3), {Tokens{4}}).status()));
  // A choice that fits exactly is scored.
  EXPECT_EQ(ErrorOf(Score(session, {3, 4, 5}, {Tokens{6, 7, 8}}).status()),
            "OK");
}

TEST(Score, RefusesNanLogits) {
  const Model model = LoadToy(AllToys()[0]);
  // Positions at the end of the prompt, and within a choice.
  for (const size_t bad_position : {1, 3}) {
    Session session = NewSession(model);
    session.SetTap([&](const TapSite& site, absl::Span<float> values) {
      if (site.position + site.num_rows <= bad_position) return;
      std::fill(values.begin(), values.end(),
                std::numeric_limits<float>::quiet_NaN());
    });
    const auto scores = Score(session, {2, 5}, {Tokens{6}, Tokens{6, 7, 8}});
    EXPECT_THAT(ErrorOf(scores.status()),
                StartsWith("the model's logits are not finite (position "));
    EXPECT_EQ(ReasonOf(scores.status()), ErrorReason::kNotFinite);
    EXPECT_EQ(session.position(), 0u);
  }
}

// The recurrent model rewinds by reading the tokens again.
TEST(Score, FailedRewindIsReported) {
  const Model model = LoadToy({"", "recurrent_gemma"});
  Session session =
      NewSession(model, {.max_rollback = 0, .max_checkpoints = 0});
  ASSERT_TRUE(session.Append({2, 5}).ok());
  session.SetTap([](const TapSite& site, absl::Span<float> values) {
    if (site.position < 2) throw std::runtime_error("the tap failed");
    if (site.point != TapPoint::kHeadInput) return;
    std::fill(values.begin(), values.end(),
              std::numeric_limits<float>::quiet_NaN());
  });
  const absl::Status status = Score(session, {7}, {Tokens{6}}).status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_EQ(ErrorOf(status),
            "the model's logits are not finite (position 3): all weights are "
            "finite; the session now has 0 tokens instead of 2, because the "
            "rewind failed: the tap failed");
  EXPECT_EQ(session.position(), 0u);
}

}  // namespace
}  // namespace gemma::internal
