// The computation of the engine, step by step: which requests advance, and how
// much is reused.

#include "src/batch/batcher.h"

#include <cstddef>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/batch_steps.h"
#include "tests/support/requests.h"

namespace gemma::internal {
namespace {

const Toy kToy = {"", "gemma3"};

TEST(Batcher, AnswersAdvanceDuringPrefill) {
  const Model model = LoadSpeakingToy(kToy, 1, 64);
  Steps steps(model);
  size_t tokens = 0;
  Request talker = Ask(MakePrompt(10, 1), 40);
  talker.options.on_token = [&](const ScoredToken&) { ++tokens; };
  steps.Add(talker);
  steps.Step();
  EXPECT_EQ(tokens, 1u);
  // 63 tokens of the prompt go with a token of the answer.
  const size_t reader = steps.Add(Ask(MakePrompt(630, 2), 1));
  for (size_t step = 1; step <= 10; ++step) {
    EXPECT_FALSE(steps.done(reader));
    steps.Step();
    EXPECT_EQ(tokens, step + 1);
  }
  EXPECT_TRUE(steps.done(reader));
}

TEST(Batcher, ProgressOfPrompts) {
  const Model model = LoadSpeakingToy(kToy, 1, 64);
  Steps steps(model);
  std::vector<size_t> told;
  Request request = Ask(MakePrompt(150, 1), 1);
  request.options.on_prompt = [&](size_t done, size_t total) {
    EXPECT_EQ(total, 150u);
    told.push_back(done);
  };
  steps.Add(request);
  steps.Finish();
  EXPECT_EQ(told, (std::vector<size_t>{64, 128, 150}));
  // The prompt tokens that count are those reused and those computed before the
  // end.
  told.clear();
  request.prompt = Concat(MakePrompt(100, 1), MakePrompt(50, 2));
  request.options.cancelled = [&] { return !told.empty(); };
  const size_t cancelled = steps.Add(request);
  steps.Finish();
  ASSERT_EQ(told.size(), 1u);
  const GenerateStats& stats = steps.Result(cancelled).stats;
  EXPECT_EQ(stats.stop_reason, StopReason::kCancelled);
  EXPECT_GT(stats.reused_tokens, 0u);
  EXPECT_GT(stats.prompt_tokens, stats.reused_tokens);
  EXPECT_EQ(stats.prompt_tokens, told[0]);
}

TEST(Batcher, ShortPromptsGoFirst) {
  const Model model = LoadSpeakingToy(kToy, 1, 64);
  Steps steps(model);
  const size_t large = steps.Add(Ask(MakePrompt(3000, 1), 1));
  steps.Step();
  const size_t small = steps.Add(Ask(MakePrompt(60, 2), 1));
  steps.Step();
  steps.Step();
  EXPECT_TRUE(steps.done(small));
  EXPECT_FALSE(steps.done(large));
}

// If they took turns, all would end last.
TEST(Batcher, EqualPromptsKeepOrder) {
  const Model model = LoadSpeakingToy(kToy, 1, 64);
  Steps steps(model);
  for (size_t i = 0; i < 4; ++i) steps.Add(Ask(MakePrompt(640, i), 1));
  for (size_t i = 0; i < 14; ++i) steps.Step();
  EXPECT_TRUE(steps.done(0));
  for (size_t i = 0; i < 14; ++i) steps.Step();
  EXPECT_TRUE(steps.done(1));
  EXPECT_FALSE(steps.done(3));
  EXPECT_EQ(steps.Finish(), 12u);
}

TEST(Batcher, ShortPromptsSharePasses) {
  const Model model = LoadSpeakingToy(kToy, 1, 64);
  Steps steps(model);
  for (size_t i = 0; i < 5; ++i) steps.Add(Ask(MakePrompt(15, i), 1));
  steps.Step();
  for (size_t i = 0; i < 4; ++i) EXPECT_TRUE(steps.done(i)) << i;
  EXPECT_FALSE(steps.done(4));
}

TEST(Batcher, LongPromptsNeverStarve) {
  const Model model = LoadSpeakingToy(kToy, 1, 64);
  Steps steps(model);
  const size_t large = steps.Add(Ask(MakePrompt(640, 1), 1));
  for (size_t i = 0; i < 80; ++i) {
    steps.Add(Ask(MakePrompt(60, 2 + i), 1));
    steps.Step();
  }
  EXPECT_TRUE(steps.done(large));
}

// A short prompt that waits for the beginning of a longer one lends it its
// place.
TEST(Batcher, WaitingPromptsLendPlaces) {
  const Model model = LoadSpeakingToy(kToy, 1, 64);
  Steps steps(model);
  const std::vector<TokenId> whole = MakePrompt(1000, 1);
  const std::vector<TokenId> part(whole.begin(), whole.begin() + 600);
  steps.Add(Ask(whole, 1));
  steps.Step();
  const size_t waits = steps.Add(Ask(Concat(part, MakePrompt(9, 2)), 1));
  const size_t other = steps.Add(Ask(MakePrompt(900, 3), 1));
  for (size_t i = 0; i < 10; ++i) steps.Step();
  EXPECT_TRUE(steps.done(waits));
  EXPECT_EQ(steps.Reused(waits), 576u);  // nine pieces
  EXPECT_FALSE(steps.done(other));
}

TEST(Batcher, AnswersNeverStarvePrompts) {
  const Model model = LoadSpeakingToy(kToy, 1, 4);
  EngineOptions options;
  options.max_tokens = 300;
  Steps steps(model, options);
  for (size_t i = 0; i < 9; ++i) steps.Add(Ask(MakePrompt(1, i), 200));
  for (size_t i = 0; i < 9; ++i) steps.Step();
  const size_t reader = steps.Add(Ask(MakePrompt(40, 20), 1));
  for (size_t i = 0; i < 14; ++i) steps.Step();
  EXPECT_TRUE(steps.done(reader));
}

class BatcherReuse : public ::testing::TestWithParam<Toy> {};

INSTANTIATE_TEST_SUITE_P(Toys, BatcherReuse,
                         ::testing::Values(Toy{"gemma", "gemma"},
                                           Toy{"gemma3", "gemma3"},
                                           Toy{"recurrent", "recurrent_gemma"}),
                         [](const auto& toy) { return toy.param.name; });

// The first request that diverges from a prompt at a new position may find that
// the recurrent layers forgot this position; the next one does not.
TEST_P(BatcherReuse, WhatEndedRequestsComputed) {
  const Model model = LoadSpeakingToy(GetParam(), kToyThreads, 256);
  const std::vector<TokenId> system = MakePrompt(450, 1);
  const bool recurrent = GetParam().name == "recurrent";
  Steps steps(model);
  for (size_t i = 0; i < 4; ++i) {
    const size_t index =
        steps.Add(Ask(Concat(system, MakePrompt(20 + 30 * i, 10 + i)), 20));
    steps.Finish();
    EXPECT_EQ(steps.Reused(index), i == 0                ? 0u
                                   : i == 1 && recurrent ? 256u
                                                         : 451u)
        << i;  // MakePrompt begins with the same token
  }
}

// The first prompt has pushed the common beginning out of the rings.
TEST_P(BatcherReuse, PrefixOutsideRings) {
  const Model model = LoadSpeakingToy(GetParam(), kToyThreads, 256);
  Steps steps(model);
  const std::vector<TokenId> whole = MakePrompt(2000, 1);
  steps.Add(Ask(whole, 30));
  steps.Finish();
  const std::vector<TokenId> part(whole.begin(), whole.begin() + 700);
  const size_t index = steps.Add(Ask(Concat(part, MakePrompt(9, 3)), 1));
  steps.Finish();
  EXPECT_EQ(steps.Reused(index), GetParam().name == "recurrent" ? 512u : 700u);
}

TEST_P(BatcherReuse, AConversation) {
  const Model model = LoadSpeakingToy(GetParam(), kToyThreads, 256);
  Steps steps(model);
  std::vector<TokenId> prompt = MakePrompt(100, 1);
  size_t before = 0;
  for (size_t turn = 0; turn < 4; ++turn) {
    const size_t index = steps.Add(Ask(prompt, 30));
    steps.Finish();
    EXPECT_EQ(steps.Reused(index), before);
    // The last token of an answer is not computed.
    before = prompt.size() + 29;
    prompt = Concat(prompt, steps.Result(index).tokens);
    prompt = Concat(prompt, {7, 8, static_cast<TokenId>(9 + turn)});
  }
  // The same prompt again: all but the last token, whose logits are wanted.
  prompt = MakePrompt(100, 1);
  const size_t again = steps.Add(Ask(prompt, 30));
  steps.Finish();
  EXPECT_EQ(steps.Reused(again), 99u);
}

TEST_P(BatcherReuse, OfSimultaneousRequests) {
  const Model model = LoadSpeakingToy(GetParam(), kToyThreads, 256);
  const std::vector<TokenId> system = MakePrompt(600, 1);
  Steps steps(model);
  for (size_t i = 0; i < 5; ++i) {
    steps.Add(Ask(Concat(system, {20, static_cast<TokenId>(30 + i), 40}), 3));
  }
  steps.Finish();
  EXPECT_EQ(steps.Reused(0), 0u);
  for (size_t i = 1; i < 5; ++i) EXPECT_EQ(steps.Reused(i), 601u) << i;
}

TEST_P(BatcherReuse, OfRunningRequests) {
  const Model model = LoadSpeakingToy(GetParam(), kToyThreads, 256);
  const std::vector<TokenId> prompt = MakePrompt(300, 1);
  Steps steps(model);
  const size_t first = steps.Add(Ask(prompt, 50));
  for (size_t i = 0; i < 5; ++i) steps.Step();
  const size_t second = steps.Add(Ask(Concat(prompt, {5, 6}), 2));
  steps.Step();
  steps.Step();
  EXPECT_TRUE(steps.done(second));
  EXPECT_FALSE(steps.done(first));
  EXPECT_EQ(steps.Reused(second), 300u);
  steps.Finish();
}

// Requests that wait for one that is cancelled go on by themselves.
TEST(Batcher, CancelledRequestBlocksNobody) {
  const Model model = LoadSpeakingToy(kToy, 1, 64);
  Steps steps(model);
  const std::vector<TokenId> prompt = MakePrompt(1000, 1);
  bool stop = false;
  Request request = Ask(prompt, 1);
  request.options.cancelled = [&] { return stop; };
  const size_t first = steps.Add(request);
  const size_t second = steps.Add(Ask(prompt, 1));
  for (size_t i = 0; i < 3; ++i) steps.Step();
  stop = true;
  steps.Finish();
  EXPECT_EQ(steps.Result(first).stats.stop_reason, StopReason::kCancelled);
  EXPECT_EQ(steps.Result(second).stats.stop_reason, StopReason::kMaxTokens);
  // The work of the first request is not lost.
  EXPECT_GE(steps.Reused(second), 128u);
}

// A prompt that shares less than half of a kept sequence leaves it whole.
TEST(Batcher, LongSequencesStayWhole) {
  const Model model = LoadSpeakingToy(kToy, 1, 256);
  Steps steps(model);
  const std::vector<TokenId> whole = MakePrompt(1000, 1);
  const std::vector<TokenId> part(whole.begin(), whole.begin() + 100);
  steps.Add(Ask(whole, 5));
  steps.Finish();
  const size_t index = steps.Add(Ask(Concat(part, MakePrompt(9, 3)), 5));
  steps.Finish();
  EXPECT_EQ(steps.Reused(index), 100u);
  const size_t again = steps.Add(Ask(whole, 5));
  steps.Finish();
  EXPECT_EQ(steps.Reused(again), 999u);
}

// The common beginning of every prompt is too short to reuse.
TEST(Batcher, ShortPrefixesNotShared) {
  const Model model = LoadSpeakingToy(kToy, 1, 64);
  Steps steps(model);
  const std::vector<TokenId> whole = MakePrompt(300, 1);
  steps.Add(Ask(whole));
  steps.Finish();
  const std::vector<TokenId> part(whole.begin(), whole.begin() + 31);
  const size_t index = steps.Add(Ask(Concat(part, MakePrompt(9, 3))));
  steps.Finish();
  EXPECT_EQ(steps.Reused(index), 0u);
}

TEST(Batcher, KeepsNothingWithoutRoom) {
  const Model model = LoadSpeakingToy(kToy, 1, 64);
  EngineOptions options;
  options.reuse_bytes = 0;
  Steps steps(model, options);
  for (size_t i = 0; i < 2; ++i) {
    const size_t index = steps.Add(Ask(MakePrompt(300, 1)));
    steps.Finish();
    EXPECT_EQ(steps.Reused(index), 0u);
  }
}

// The most recently used sequences are kept longest.
TEST(Batcher, RoomForTwo) {
  const Model model = LoadSpeakingToy({"", "gemma"}, 1, 64);
  EngineOptions options;
  options.max_tokens = 400;
  options.reuse_bytes =
      2 * SequencePool::SequenceBytes(model, Batcher::SequenceOptions(options));
  Steps steps(model, options);
  const auto reused = [&](uint64_t seed) {
    const size_t index = steps.Add(Ask(MakePrompt(300, seed)));
    steps.Finish();
    return steps.Reused(index);
  };
  EXPECT_EQ(reused(1), 0u);
  EXPECT_EQ(reused(2), 0u);
  EXPECT_EQ(reused(1), 299u);
  EXPECT_EQ(reused(3), 0u);  // in place of the second
  EXPECT_EQ(reused(1), 299u);
  EXPECT_EQ(reused(2), 0u);
}

}  // namespace
}  // namespace gemma::internal
