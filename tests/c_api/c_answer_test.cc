// Tests that answers in C are those of Generate, and what ends them.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "gemma/c_api.h"
#include "gemma/gemma.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/c_api/c_api_fixture.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

TEST_F(CApi, AnswersEqualGenerate) {
  const Model model = LoadOrDie(Gemma3Path(), {});
  GenerateOptions expected_options;
  expected_options.max_new_tokens = 20;
  expected_options.sampling.seed = 5;
  Session expected = NewSession(model);
  std::string expected_text;
  const std::vector<int32_t> prompt = Prompt();
  const auto expected_stats =
      Generate(expected, prompt, expected_options, [&](std::string_view text) {
        expected_text += text;
        return true;
      });
  ASSERT_TRUE(expected_stats.ok());

  gemma_generate_options options;
  gemma_generate_options_init(&options, sizeof(options));
  options.max_new_tokens = 20;
  options.seed = 5;
  gemma_generate_stats stats;
  gemma_generate_stats_init(&stats, sizeof(stats));
  std::string text;
  ASSERT_EQ(gemma_generate(session_, prompt.data(), prompt.size(), &options,
                           AddText, &text, &stats),
            GEMMA_OK);
  EXPECT_EQ(text, expected_text);
  EXPECT_EQ(stats.new_tokens, expected_stats->new_tokens);
  EXPECT_EQ(stats.prompt_tokens, prompt.size());
}

TEST_F(CApi, StopsAtAText) {
  const std::vector<int32_t> prompt = Prompt();
  gemma_generate_options options;
  gemma_generate_options_init(&options, sizeof(options));
  options.max_new_tokens = 20;
  options.temperature = 0;
  std::string whole;
  ASSERT_EQ(gemma_generate(session_, prompt.data(), prompt.size(), &options,
                           AddText, &whole, nullptr),
            GEMMA_OK);
  ASSERT_GT(whole.size(), 2u);
  ASSERT_EQ(gemma_session_rewind(session_, 0), GEMMA_OK);
  const std::string stop = whole.substr(whole.size() / 2, 2);
  const char* stops[] = {stop.c_str()};
  options.stop_strings = stops;
  options.num_stop_strings = 1;
  gemma_generate_stats stats;
  gemma_generate_stats_init(&stats, sizeof(stats));
  std::string text;
  ASSERT_EQ(gemma_generate(session_, prompt.data(), prompt.size(), &options,
                           AddText, &text, &stats),
            GEMMA_OK);
  EXPECT_EQ(stats.stop_reason, GEMMA_STOP_STRING);
  EXPECT_EQ(text, whole.substr(0, whole.find(stop)));
}

TEST_F(CApi, StopsAtAToken) {
  const std::vector<int32_t> prompt = Prompt();
  gemma_generate_options options;
  gemma_generate_options_init(&options, sizeof(options));
  EXPECT_EQ(options.num_stop_tokens, 0u);
  options.max_new_tokens = 3;
  options.temperature = 0;
  const float* logits = nullptr;
  ASSERT_EQ(
      gemma_session_forward(session_, prompt.data(), prompt.size(), &logits),
      GEMMA_OK);
  const int32_t stop = static_cast<int32_t>(
      std::max_element(logits, logits + gemma_model_vocab_size(model_)) -
      logits);
  ASSERT_EQ(gemma_session_rewind(session_, 0), GEMMA_OK);
  const int32_t stops[] = {5, stop};
  options.stop_tokens = stops;
  options.num_stop_tokens = 2;
  gemma_generate_stats stats;
  gemma_generate_stats_init(&stats, sizeof(stats));
  ASSERT_EQ(gemma_generate(session_, prompt.data(), prompt.size(), &options,
                           nullptr, nullptr, &stats),
            GEMMA_OK);
  EXPECT_EQ(stats.stop_reason, GEMMA_STOP_TOKEN);
  EXPECT_EQ(stats.new_tokens, 0u);
  options.stop_tokens = nullptr;
  EXPECT_EQ(gemma_generate(session_, prompt.data(), prompt.size(), &options,
                           nullptr, nullptr, &stats),
            GEMMA_INVALID_ARGUMENT);
}

TEST_F(CApi, GrammarsConstrainAnswers) {
  const std::vector<int32_t> prompt = Prompt();
  gemma_generate_options options;
  gemma_generate_options_init(&options, sizeof(options));
  EXPECT_EQ(options.grammar, GEMMA_GRAMMAR_NONE);
  std::string text;
  const auto generate = [&](gemma_grammar grammar,
                            std::vector<const char*> texts) {
    options.grammar = grammar;
    options.grammar_texts = texts.data();
    options.num_grammar_texts = texts.size();
    gemma_generate_stats stats;
    gemma_generate_stats_init(&stats, sizeof(stats));
    text.clear();
    EXPECT_EQ(gemma_session_rewind(session_, 0), GEMMA_OK);
    const gemma_status status =
        gemma_generate(session_, prompt.data(), prompt.size(), &options,
                       AddText, &text, &stats);
    if (status == GEMMA_OK) {
      EXPECT_EQ(stats.stop_reason, GEMMA_STOP_GRAMMAR_END);
    }
    return status;
  };
  EXPECT_EQ(generate(GEMMA_GRAMMAR_CHOICES, {"left", "right"}), GEMMA_OK);
  EXPECT_TRUE(text == "left" || text == "right") << text;
  EXPECT_EQ(generate(GEMMA_GRAMMAR_REGEX, {"[0-9]{3}"}), GEMMA_OK);
  EXPECT_EQ(text.size(), 3u);
  EXPECT_EQ(generate(GEMMA_GRAMMAR_JSON_SCHEMA, {R"({"const":[1]})"}),
            GEMMA_OK);
  EXPECT_EQ(text, "[1]");
  EXPECT_EQ(generate(GEMMA_GRAMMAR_JSON_SCHEMA, {R"({"not":{}})"}),
            GEMMA_INVALID_ARGUMENT);
  EXPECT_STREQ(gemma_last_error(), "'#/not': this keyword is not supported");
  EXPECT_EQ(generate(GEMMA_GRAMMAR_REGEX, {}), GEMMA_INVALID_ARGUMENT);
  EXPECT_EQ(generate(GEMMA_GRAMMAR_REGEX, {nullptr}), GEMMA_INVALID_ARGUMENT);
  EXPECT_EQ(generate(GEMMA_GRAMMAR_CHOICES, {}), GEMMA_INVALID_ARGUMENT);
  const int unknown = 9;
  std::memcpy(&options.grammar, &unknown, sizeof(unknown));
  EXPECT_EQ(gemma_generate(session_, prompt.data(), prompt.size(), &options,
                           nullptr, nullptr, nullptr),
            GEMMA_INVALID_ARGUMENT);
}

bool Refuse(const char*, size_t, void* user) {
  ++*static_cast<size_t*>(user);
  return false;
}

TEST_F(CApi, CallbackStopsAnswer) {
  const std::vector<int32_t> prompt = Prompt();
  gemma_generate_stats stats;
  gemma_generate_stats_init(&stats, sizeof(stats));
  size_t calls = 0;
  ASSERT_EQ(gemma_generate(session_, prompt.data(), prompt.size(), nullptr,
                           Refuse, &calls, &stats),
            GEMMA_OK);
  EXPECT_EQ(calls, 1u);
  EXPECT_EQ(stats.stop_reason, GEMMA_STOP_CANCELLED);
}

// Lets an answer wait at its first text until another thread cancels it.
struct Meeting {
  std::atomic<bool> answered = false;
  std::atomic<bool> cancelled = false;
  size_t calls = 0;
};

bool WaitToBeCancelled(const char*, size_t, void* user) {
  auto* meeting = static_cast<Meeting*>(user);
  ++meeting->calls;
  meeting->answered = true;
  while (!meeting->cancelled) std::this_thread::yield();
  return true;
}

TEST_F(CApi, AnotherThreadCancels) {
  gemma_cancellation* cancellation = gemma_cancellation_create();
  ASSERT_NE(cancellation, nullptr);
  gemma_generate_options options;
  gemma_generate_options_init(&options, sizeof(options));
  options.cancellation = cancellation;
  Meeting meeting;
  std::thread canceller([&] {
    while (!meeting.answered) std::this_thread::yield();
    gemma_cancellation_cancel(cancellation);
    meeting.cancelled = true;
  });
  const std::vector<int32_t> prompt = Prompt();
  gemma_generate_stats stats;
  gemma_generate_stats_init(&stats, sizeof(stats));
  EXPECT_EQ(gemma_generate(session_, prompt.data(), prompt.size(), &options,
                           WaitToBeCancelled, &meeting, &stats),
            GEMMA_OK);
  meeting.answered = true;  // in case the answer had no text
  canceller.join();
  EXPECT_EQ(stats.stop_reason, GEMMA_STOP_CANCELLED);
  EXPECT_EQ(meeting.calls, 1u);

  // It stays cancelled until it is reset.
  EXPECT_EQ(gemma_generate(session_, prompt.data(), prompt.size(), &options,
                           nullptr, nullptr, &stats),
            GEMMA_OK);
  EXPECT_EQ(stats.stop_reason, GEMMA_STOP_CANCELLED);
  gemma_cancellation_reset(cancellation);
  options.max_new_tokens = 1;
  EXPECT_EQ(gemma_generate(session_, prompt.data(), prompt.size(), &options,
                           nullptr, nullptr, &stats),
            GEMMA_OK);
  EXPECT_EQ(stats.stop_reason, GEMMA_STOP_MAX_TOKENS);
  gemma_cancellation_free(cancellation);
}

bool Dawdle(const char*, size_t, void*) {
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return true;
}

TEST_F(CApi, TimeoutEndsAnswer) {
  gemma_generate_options options;
  gemma_generate_options_init(&options, sizeof(options));
  EXPECT_EQ(options.timeout_seconds, 0);
  const std::vector<int32_t> prompt = Prompt();
  gemma_generate_stats stats;
  gemma_generate_stats_init(&stats, sizeof(stats));
  const auto generate = [&](double timeout) {
    options.timeout_seconds = timeout;
    return gemma_generate(session_, prompt.data(), prompt.size(), &options,
                          Dawdle, nullptr, &stats);
  };
  EXPECT_EQ(generate(0.005), GEMMA_OK);
  EXPECT_EQ(stats.stop_reason, GEMMA_STOP_DEADLINE);
  options.max_new_tokens = 2;
  for (const double enough : {1e3, 1e300, HUGE_VAL}) {
    EXPECT_EQ(generate(enough), GEMMA_OK);
    EXPECT_NE(stats.stop_reason, GEMMA_STOP_DEADLINE);
  }
  EXPECT_EQ(generate(-1), GEMMA_INVALID_ARGUMENT);
  EXPECT_STREQ(gemma_last_error(), "timeout_seconds is -1, wanted 0 or more");
  EXPECT_EQ(generate(std::nan("")), GEMMA_INVALID_ARGUMENT);
}

bool Throw(const char*, size_t, void*) { throw 7; }

TEST_F(CApi, CallbacksMayThrow) {
  const std::vector<int32_t> prompt = Prompt();
  EXPECT_EQ(gemma_generate(session_, prompt.data(), prompt.size(), nullptr,
                           Throw, nullptr, nullptr),
            GEMMA_INTERNAL);
  EXPECT_EQ(gemma_session_rewind(session_, 0), GEMMA_OK);
}

}  // namespace
}  // namespace gemma::internal
