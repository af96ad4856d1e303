// Requests for no new token: Generate and the engine only read the prompt.

#include <cstddef>
#include <string_view>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/engines.h"
#include "tests/support/error_of.h"
#include "tests/support/requests.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

// A request that also reports its tokens, those of the prompt included.
Request Echo(size_t prompt, size_t max_new_tokens) {
  Request request = Ask(MakePrompt(prompt, 1), max_new_tokens);
  request.options.on_token = [](const ScoredToken&) {};
  request.options.num_alternatives = 2;
  request.options.score_prompt = true;
  return request;
}

Request OnlyRead(Request request) {
  request.options.max_new_tokens = 0;
  request.options.prompt_only = true;
  return request;
}

TEST(PromptOnly, ScoresTheWholePrompt) {
  for (const char* folder : {"gemma3", "recurrent_gemma", "gemma4_e2b"}) {
    const Model model = LoadSpeakingToy({"", folder}, kToyThreads, 64);
    // One token more follows the same scores.
    Outcome expected = Alone(model, Echo(70, 1), {});
    ASSERT_EQ(expected.scored.size(), 71u);
    expected.scored.pop_back();
    expected.tokens.clear();
    expected.text.clear();
    const Request request = OnlyRead(Echo(70, 1));
    EXPECT_EQ(Alone(model, request, {}), expected);
    Engine engine = MakeEngine(model);
    Outcome outcome;
    Collect(Submit(engine, Scored(request, &outcome)), &outcome);
    EXPECT_EQ(outcome, expected);
    EXPECT_EQ(outcome.stop_reason, StopReason::kMaxTokens);
  }
}

TEST(PromptOnly, FillsTheCaches) {
  const Model model = LoadSpeakingToy({"", "gemma3"}, 1, 64);
  const Request whole = Ask(MakePrompt(100, 1), 5);
  Request read = OnlyRead(whole);
  read.on_text = [](std::string_view) {
    ADD_FAILURE() << "no text was wanted";
    return true;
  };
  Engine engine = MakeEngine(model);
  const Completion none = AnswerOf(Submit(engine, read));
  EXPECT_EQ(none.stats.new_tokens, 0u);
  EXPECT_EQ(none.stats.prompt_tokens, 100u);
  EXPECT_EQ(none.stats.stop_reason, StopReason::kMaxTokens);
  EXPECT_FALSE(none.times.first_token.has_value());
  const Completion answer = AnswerOf(Submit(engine, whole));
  EXPECT_EQ(answer.stats.reused_tokens, 99u);
  EXPECT_EQ(answer.tokens, Alone(model, whole, {}).tokens);

  Session session = NewSession(model);
  const auto stats = Generate(session, read.prompt, read.options, read.on_text);
  ASSERT_EQ(ErrorOf(stats), "OK");
  EXPECT_EQ(stats->new_tokens, 0u);
  EXPECT_EQ(stats->stop_reason, StopReason::kMaxTokens);
  EXPECT_EQ(session.position(), 100u);
}

// A prompt that fills the context has no room for a token, but needs none.
TEST(PromptOnly, FitsTheWholeContext) {
  const Model model = LoadSpeakingToy({"", "gemma3"}, 1, 64);
  const Request request = Ask(MakePrompt(40, 1), 0);
  const EngineOptions options = {.max_tokens = 40};
  EXPECT_EQ(Alone(model, request, options).stop_reason,
            StopReason::kContextFull);
  EXPECT_EQ(Alone(model, OnlyRead(request), options).stop_reason,
            StopReason::kMaxTokens);
  Engine engine = MakeEngine(model, options);
  EXPECT_EQ(AnswerOf(Submit(engine, OnlyRead(request))).stats.stop_reason,
            StopReason::kMaxTokens);
}

// A zero in max_new_tokens alone still means as many as fit.
TEST(PromptOnly, RefusesAnotherNumber) {
  const Model model = LoadSpeakingToy({"", "gemma3"}, 1, 64);
  Request request = Ask(MakePrompt(40, 1), 0);
  EXPECT_EQ(Alone(model, request, {.max_tokens = 50}).tokens.size(), 10u);
  request.options.prompt_only = true;
  request.options.max_new_tokens = 3;
  const auto message =
      HasSubstr("prompt_only is set, but max_new_tokens is 3, wanted 0");
  EXPECT_THAT(Alone(model, request, {}).error, message);
  Engine engine = MakeEngine(model);
  EXPECT_THAT(ErrorOf(engine.Submit(request).status()), message);
}

}  // namespace
}  // namespace gemma::internal
