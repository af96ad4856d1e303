// The engine scores choices as Score does, bit for bit, beside other requests.

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/batch_steps.h"
#include "tests/support/engines.h"
#include "tests/support/error_of.h"
#include "tests/support/requests.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

// Choices of 1 to 70 tokens: more than a piece, a rollback and a window.
std::vector<std::vector<TokenId>> SomeChoices() {
  std::vector<std::vector<TokenId>> choices;
  for (const size_t size : {1, 2, 17, 1, 40, 18, 70, 3}) {
    choices.push_back(MakePrompt(size, 100 + size));
    choices.back()[0] = static_cast<TokenId>(10 + size);
  }
  return choices;
}

Request Choose(std::vector<TokenId> prompt,
               std::vector<std::vector<TokenId>> choices) {
  Request request;
  request.prompt = std::move(prompt);
  request.choices = std::move(choices);
  return request;
}

void ExpectScores(const std::vector<ChoiceScore>& actual,
                  const std::vector<ChoiceScore>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    EXPECT_EQ(actual[i].log_probability, expected[i].log_probability) << i;
    EXPECT_EQ(actual[i].token_log_probabilities,
              expected[i].token_log_probabilities)
        << i;
  }
}

class EngineChoices : public ::testing::TestWithParam<Toy> {};

INSTANTIATE_TEST_SUITE_P(Toys, EngineChoices,
                         ::testing::ValuesIn(AllSpeakingToys()),
                         [](const auto& toy) { return toy.param.name; });

TEST_P(EngineChoices, EqualScoreAlone) {
  const std::vector<std::vector<TokenId>> choices = SomeChoices();
  const std::vector<TokenId> system = MakePrompt(90, 1);
  const std::vector<std::vector<TokenId>> prompts = {
      MakePrompt(1, 2), system, Concat(system, MakePrompt(20, 3)),
      MakePrompt(130, 4)};
  for (const size_t chunk : {64, 7}) {
    SCOPED_TRACE(testing::Message() << "chunk " << chunk);
    const Model model = LoadSpeakingToy(GetParam(), kToyThreads, chunk);
    EngineOptions options;
    options.max_tokens = 200;
    options.reuse_bytes = chunk == 7 ? 0 : options.reuse_bytes;
    const Request talk = Ask(Concat(system, {7, 8}), 60);
    const Outcome talk_alone = Alone(model, talk, options);
    Engine engine = MakeEngine(model, options);
    std::vector<Ticket> tickets;
    const Ticket talker = Submit(engine, talk);
    for (const auto& prompt : prompts) {
      tickets.push_back(Submit(engine, Choose(prompt, choices)));
    }
    for (size_t i = 0; i < prompts.size(); ++i) {
      Session session = NewSession(model, {.max_tokens = options.max_tokens});
      const auto expected = Score(session, prompts[i], choices);
      ASSERT_EQ(ErrorOf(expected), "OK");
      const Completion completion = AnswerOf(tickets[i]);
      ExpectScores(completion.scores, *expected);
      EXPECT_EQ(completion.stats.stop_reason, StopReason::kMaxTokens);
      EXPECT_EQ(completion.stats.prompt_tokens, prompts[i].size());
      EXPECT_EQ(completion.text, "");
    }
    Outcome outcome;
    Collect(talker, &outcome);
    EXPECT_EQ(outcome, talk_alone);
  }
}

TEST(EngineChoice, RefusesBadChoices) {
  const Model model = LoadSpeakingToy({"", "gemma3"}, 1, 64);
  Engine engine = MakeEngine(model, {.max_tokens = 8});
  const auto error = [&](std::vector<std::vector<TokenId>> choices) {
    return ErrorOf(engine.Submit(Choose({2, 3}, std::move(choices))).status());
  };
  EXPECT_THAT(error({{5}, {}}), HasSubstr("choice 1 has no tokens"));
  EXPECT_THAT(error({{5}, {999}}), HasSubstr("choice 1"));
  EXPECT_THAT(error({{5, 6, 7, 8, 9, 10, 11}}),
              HasSubstr("the prompt has 2 tokens and choice 0 7, the context "
                        "has room for 8"));
  Request request = Choose({2, 3}, {{5}});
  request.options.max_new_tokens = 1;
  EXPECT_THAT(ErrorOf(engine.Submit(request).status()),
              HasSubstr("a request has choices, but max_new_tokens is 1"));
}

// Answers advance while a long list of choices is scored.
TEST(EngineChoice, DelaysNobody) {
  const Model model = LoadSpeakingToy({"", "gemma3"}, 1, 64);
  Steps steps(model);
  size_t tokens = 0;
  Request talker = Ask(MakePrompt(10, 1), 40);
  talker.options.on_token = [&](const ScoredToken&) { ++tokens; };
  steps.Add(talker);
  steps.Step();
  const size_t scores = steps.Add(
      Choose(MakePrompt(20, 2), {MakePrompt(33, 3), MakePrompt(17, 4), {5}}));
  // One step for the prompt, and one for each 16 of 32 and of 16 tokens.
  for (size_t step = 1; step <= 4; ++step) {
    EXPECT_FALSE(steps.done(scores));
    steps.Step();
    EXPECT_EQ(tokens, step + 1);
  }
  EXPECT_TRUE(steps.done(scores));
  EXPECT_EQ(steps.Result(scores).scores.size(), 3u);
}

TEST(EngineChoice, CancelledBetweenChoices) {
  const Model model = LoadSpeakingToy({"", "gemma3"}, 1, 64);
  Steps steps(model);
  Request request = Choose(MakePrompt(20, 2), {MakePrompt(100, 3)});
  bool stop = false;
  request.options.cancelled = [&] { return stop; };
  const size_t index = steps.Add(request);
  steps.Step();
  steps.Step();
  stop = true;
  steps.Finish();
  EXPECT_EQ(steps.Result(index).stats.stop_reason, StopReason::kCancelled);
  EXPECT_TRUE(steps.Result(index).scores.empty());
}

}  // namespace
}  // namespace gemma::internal
