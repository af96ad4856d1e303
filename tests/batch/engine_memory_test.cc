// One limit for everything that an engine holds.

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/batch/sequence_pool.h"
#include "src/session/model_impl.h"
#include "tests/support/batch_steps.h"
#include "tests/support/engines.h"
#include "tests/support/error_of.h"
#include "tests/support/requests.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

// Options with room for this many sequences beside the logits of a pass.
EngineOptions RoomFor(const Model& model, size_t sequences) {
  EngineOptions options;
  options.max_tokens = 400;
  const uint64_t sequence =
      SequencePool::SequenceBytes(model, Batcher::SequenceOptions(options));
  options.max_bytes =
      Batcher::LeastBytes(model, **model.impl().executor(), options) +
      (sequences - 1) * sequence;
  return options;
}

TEST(EngineMemory, NeverExceedsTheLimit) {
  const Model model = LoadSpeakingToy({"", "gemma"}, 1, 64);
  const EngineOptions options = RoomFor(model, 2);
  Steps steps(model, options);
  std::vector<size_t> added;
  for (size_t i = 0; i < 6; ++i) {
    added.push_back(steps.Add(Ask(MakePrompt(100, i), 20)));
  }
  size_t most = 0;
  while (!steps.done(added.back())) {
    steps.Step();
    const EngineSnapshot now = steps.Snapshot();
    EXPECT_LE(now.bytes, options.max_bytes);
    most = std::max(most, static_cast<size_t>(now.running_tokens / 100));
  }
  steps.Finish();
  EXPECT_EQ(most, 2u);  // two run together, the others wait
  for (const size_t index : added) {
    EXPECT_EQ(steps.Result(index).tokens.size(), 20u);
  }
  // What the last ones computed is kept, as much as fits.
  EXPECT_EQ(steps.Snapshot().kept_sequences, 2u);
}

TEST(EngineMemory, KeptSequencesMakeRoom) {
  const Model model = LoadSpeakingToy({"", "gemma"}, 1, 64);
  Steps steps(model, RoomFor(model, 2));
  const auto reused = [&](uint64_t seed) {
    const size_t index = steps.Add(Ask(MakePrompt(300, seed)));
    steps.Finish();
    return steps.Reused(index);
  };
  EXPECT_EQ(reused(1), 0u);
  EXPECT_EQ(reused(2), 0u);
  EXPECT_EQ(steps.Snapshot().kept_sequences, 2u);
  // The kept sequence runs itself, so the other one can stay.
  EXPECT_EQ(reused(1), 299u);
  EXPECT_EQ(reused(3), 0u);  // in place of the second
  EXPECT_EQ(reused(1), 299u);
  EXPECT_EQ(reused(2), 0u);
}

TEST(EngineMemory, SameAnswersWithLittle) {
  const Model model = LoadSpeakingToy({"", "recurrent_gemma"}, 1, 64);
  const EngineOptions options = RoomFor(model, 1);
  Engine engine = MakeEngine(model, options);
  std::vector<Ticket> tickets;
  for (size_t i = 0; i < 4; ++i) {
    tickets.push_back(Submit(engine, Ask(MakePrompt(50 + i, i / 2), 10)));
  }
  Request scores;
  scores.prompt = MakePrompt(30, 1);
  scores.choices = {MakePrompt(40, 2), {5}};
  const Ticket scored = Submit(engine, scores);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(AnswerOf(tickets[i]).tokens,
              Alone(model, Ask(MakePrompt(50 + i, i / 2), 10), options).tokens);
  }
  EXPECT_EQ(AnswerOf(scored).scores.size(), 2u);
}

TEST(EngineMemory, OneRequestMustFit) {
  const Model model = LoadSpeakingToy({"", "gemma"}, 1, 64);
  EngineOptions options = RoomFor(model, 1);
  options.max_bytes -= 1;
  EXPECT_THAT(ErrorOf(Engine::Create(model, options).status()),
              HasSubstr("which one request needs"));
}

}  // namespace
}  // namespace gemma::internal
