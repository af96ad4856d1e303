// Engines that share a limit of memory.

#include "gemma/memory_budget.h"

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
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

EngineOptions ShortOptions() {
  EngineOptions options;
  options.max_tokens = 400;
  return options;
}

uint64_t SequenceBytes(const Model& model) {
  return SequencePool::SequenceBytes(model,
                                     Batcher::SequenceOptions(ShortOptions()));
}

uint64_t LeastBytes(const Model& model) {
  return Batcher::LeastBytes(model, **model.impl().executor(), ShortOptions());
}

// Options of engines that share a budget with room for one request of each
// model, and `sequences` more of the first.
std::vector<EngineOptions> Sharing(const std::vector<Model>& models,
                                   size_t sequences) {
  uint64_t bytes = sequences * SequenceBytes(models[0]);
  for (const Model& model : models) bytes += LeastBytes(model);
  absl::StatusOr<MemoryBudget> budget = MemoryBudget::Create(bytes);
  EXPECT_EQ(ErrorOf(budget), "OK");
  EngineOptions options = ShortOptions();
  options.budget = *budget;
  return std::vector<EngineOptions>(models.size(), options);
}

std::vector<Model> TwoToys() {
  return {LoadSpeakingToy({"", "gemma"}, 1, 64),
          LoadSpeakingToy({"", "gemma"}, 1, 64)};
}

// What was used least recently is dropped, whoever keeps it.
TEST(EngineBudget, DropsOldestOfAll) {
  const std::vector<Model> models = TwoToys();
  const std::vector<EngineOptions> options = Sharing(models, 1);
  std::vector<std::unique_ptr<Steps>> engines;
  for (size_t i = 0; i < 2; ++i) {
    engines.push_back(std::make_unique<Steps>(models[i], options[i]));
  }
  const auto reused = [&](size_t engine, uint64_t seed) {
    const size_t index = engines[engine]->Add(Ask(MakePrompt(300, seed)));
    engines[engine]->Finish();
    EXPECT_LE(options[0].budget->bytes(), options[0].budget->max_bytes());
    return engines[engine]->Reused(index);
  };
  const auto kept = [&](size_t engine) {
    return engines[engine]->Snapshot().kept_sequences;
  };
  // There is room for three.
  EXPECT_EQ(reused(0, 1), 0u);
  EXPECT_EQ(reused(1, 2), 0u);
  EXPECT_EQ(reused(0, 3), 0u);
  EXPECT_EQ(kept(0) + kept(1), 3u);
  EXPECT_EQ(reused(0, 1), 299u);
  EXPECT_EQ(reused(0, 4), 0u);  // in place of the other engine's
  EXPECT_EQ(kept(0), 3u);
  EXPECT_EQ(kept(1), 0u);
  EXPECT_EQ(engines[1]->Snapshot().kept_tokens, 0u);
  EXPECT_EQ(engines[1]->Snapshot().reuse_bytes, 0u);
  EXPECT_EQ(reused(1, 2), 0u);  // in place of the first engine's oldest: 3
  EXPECT_EQ(kept(0), 2u);
  EXPECT_EQ(reused(0, 1), 299u);
  EXPECT_EQ(reused(0, 4), 299u);
  EXPECT_EQ(reused(0, 3), 0u);
}

// A request waits while another engine's requests hold the memory, and then
// comes before the other engine's next one.
TEST(EngineBudget, WaitsInLine) {
  const std::vector<Model> models = TwoToys();
  const std::vector<EngineOptions> options = Sharing(models, 1);
  Steps first(models[0], options[0]);
  Steps second(models[1], options[1]);
  std::vector<size_t> of_first;
  for (size_t i = 0; i < 3; ++i) {
    of_first.push_back(first.Add(Ask(MakePrompt(50, i), 10 + i)));
  }
  for (size_t i = 0; i < 3; ++i) first.Step();
  of_first.push_back(first.Add(Ask(MakePrompt(50, 3), 5)));
  const size_t of_second = second.Add(Ask(MakePrompt(50, 4), 10));
  second.Step();
  EXPECT_TRUE(second.waits_for_memory());
  EXPECT_EQ(second.Snapshot().passes, 0u);
  while (!first.done(of_first[0])) first.Step();
  // Now there is room for one, and the other engine comes first.
  first.Step();
  second.Step();
  EXPECT_FALSE(second.waits_for_memory());
  EXPECT_EQ(second.Snapshot().passes, 1u);
  first.Step();
  EXPECT_LE(options[0].budget->bytes(), options[0].budget->max_bytes());
  second.Finish();
  first.Finish();
  for (const size_t index : of_first) {
    EXPECT_GE(first.Result(index).tokens.size(), 5u);
  }
  EXPECT_EQ(second.Result(of_second).tokens.size(), 10u);
}

// A request that waits for a prompt of its own engine costs others that wait
// for memory no place in the line.
TEST(EngineBudget, SharedPromptsKeepPlace) {
  const std::vector<Model> models = TwoToys();
  const std::vector<EngineOptions> options = Sharing(models, 1);
  Steps first(models[0], options[0]);
  Steps second(models[1], options[1]);
  const std::vector<TokenId> whole = MakePrompt(350, 1);
  first.Add(Ask(whole, 2));
  first.Step();
  const size_t short_one = second.Add(Ask(MakePrompt(50, 2), 6));
  second.Add(Ask(MakePrompt(50, 3), 30));
  for (size_t i = 0; i < 3; ++i) second.Step();
  const size_t waiting = first.Add(Ask(MakePrompt(50, 4), 2));
  const std::vector<TokenId> part(whole.begin(), whole.begin() + 340);
  const size_t sharing = first.Add(Ask(Concat(part, {5, 6}), 2));
  first.Step();
  while (!second.done(short_one)) second.Step();
  const size_t late = second.Add(Ask(MakePrompt(50, 5), 2));
  for (size_t i = 0; i < 3; ++i) second.Step();
  EXPECT_FALSE(second.done(late));
  for (size_t i = 0; i < 3; ++i) first.Step();
  EXPECT_TRUE(first.done(waiting));
  EXPECT_FALSE(first.done(sharing));
  second.Finish();
  first.Finish();
  EXPECT_EQ(first.Result(sharing).tokens.size(), 2u);
  EXPECT_EQ(second.Result(late).tokens.size(), 2u);
}

// An engine whose request begins goes to the end of the line with the others.
TEST(EngineBudget, EnginesTakeTurns) {
  const std::vector<Model> models = TwoToys();
  const std::vector<EngineOptions> options = Sharing(models, 1);
  Steps first(models[0], options[0]);
  Steps second(models[1], options[1]);
  std::vector<size_t> running;
  for (size_t i = 0; i < 3; ++i) {
    running.push_back(first.Add(Ask(MakePrompt(50, i), 10 + 10 * i)));
  }
  for (size_t i = 0; i < 3; ++i) first.Step();
  std::vector<size_t> waiting;
  for (size_t i = 0; i < 2; ++i) {
    waiting.push_back(second.Add(Ask(MakePrompt(50, 10 + i), 60)));
  }
  second.Step();
  const size_t other = first.Add(Ask(MakePrompt(50, 20), 1));
  while (!first.done(running[0])) first.Step();
  for (size_t i = 0; i < 3; ++i) second.Step();
  EXPECT_EQ(second.Snapshot().computed_tokens, 50u);
  while (!first.done(running[1])) first.Step();
  for (size_t i = 0; i < 3; ++i) second.Step();
  EXPECT_EQ(second.Snapshot().computed_tokens, 50u);
  first.Step();
  EXPECT_TRUE(first.done(other));
  for (size_t i = 0; i < 3; ++i) second.Step();
  EXPECT_EQ(second.Snapshot().computed_tokens, 100u);
  first.Finish();
  second.Finish();
  EXPECT_EQ(second.Result(waiting[1]).tokens.size(), 60u);
}

TEST(EngineBudget, CancelledOnesLeaveLine) {
  const std::vector<Model> models = TwoToys();
  const std::vector<EngineOptions> options = Sharing(models, 0);
  Steps first(models[0], options[0]);
  Steps second(models[1], options[1]);
  first.Add(Ask(MakePrompt(50, 1), 50));
  first.Add(Ask(MakePrompt(50, 2), 50));
  for (size_t i = 0; i < 3; ++i) first.Step();
  bool cancelled = false;
  Request request = Ask(MakePrompt(50, 3), 10);
  request.options.cancelled = [&] { return cancelled; };
  const size_t waiting = second.Add(std::move(request));
  second.Step();
  EXPECT_TRUE(second.waits_for_memory());
  const size_t third = first.Add(Ask(MakePrompt(50, 5), 5));
  cancelled = true;
  second.Step();
  EXPECT_EQ(second.Result(waiting).stats.stop_reason, StopReason::kCancelled);
  EXPECT_FALSE(second.waits_for_memory());
  first.Finish();
  EXPECT_EQ(first.Result(third).tokens.size(), 5u);
}

TEST(EngineBudget, GrammarsMakeRoom) {
  const Model model = LoadSpeakingToy({"", "gemma"}, 1, 64);
  EngineOptions options = Sharing({model}, 0)[0];
  Engine engine = MakeEngine(model, options);
  const auto compile = [&] {
    EXPECT_EQ(ErrorOf(engine.Compile(
                  {GrammarSource::Kind::kRegex, std::string(500, 'x')})),
              "OK");
    return engine.Snapshot().grammar_bytes;
  };
  EXPECT_GT(compile(), 500u);
  EXPECT_GE(options.budget->bytes(), engine.Snapshot().grammar_bytes);
  AnswerOf(Submit(engine, Ask(MakePrompt(300, 1), 2)));
  AnswerOf(Submit(engine, Ask(MakePrompt(300, 2), 2)));
  EXPECT_LE(options.budget->bytes(), options.budget->max_bytes());
}

TEST(EngineBudget, OneOfEachFits) {
  const std::vector<Model> models = TwoToys();
  std::vector<EngineOptions> options = Sharing(models, 0);
  MemoryBudget& budget = *options[0].budget;
  {
    Engine first = MakeEngine(models[0], options[0]);
    EXPECT_THAT(ErrorOf(budget.Reserve(LeastBytes(models[1]) + 1)),
                HasSubstr("the budget is "));
    Engine second = MakeEngine(models[1], options[1]);
    EXPECT_FALSE(budget.Reserve(1).ok());
  }
  EXPECT_EQ(budget.bytes(), 0u);
  ASSERT_EQ(ErrorOf(budget.Reserve(3)), "OK");
  budget.Release(2);
  EXPECT_EQ(budget.bytes(), 1u);
  Engine first = MakeEngine(models[0], options[0]);
  const absl::Status full = Engine::Create(models[1], options[1]).status();
  EXPECT_TRUE(absl::IsResourceExhausted(full)) << full;
}

// For the thread sanitizer: both engines evict each other's sequences.
TEST(EngineBudget, SameAnswersWithLittle) {
  const std::vector<Model> models = {
      LoadSpeakingToy({"", "gemma"}, 1, 64),
      LoadSpeakingToy({"", "recurrent_gemma"}, 1, 64)};
  const std::vector<EngineOptions> options = Sharing(models, 0);
  std::vector<Engine> engines;
  for (size_t m = 0; m < 2; ++m) {
    engines.push_back(MakeEngine(models[m], options[m]));
  }
  std::vector<Ticket> tickets;
  for (size_t i = 0; i < 12; ++i) {
    tickets.push_back(
        Submit(engines[i % 2], Ask(MakePrompt(50 + i, i / 4), 10)));
    EXPECT_EQ(ErrorOf(engines[i % 2].Compile({GrammarSource::Kind::kRegex,
                                              "a{" + std::to_string(i) + "}"})),
              "OK");
  }
  for (size_t i = 0; i < 12; ++i) {
    EXPECT_EQ(
        AnswerOf(tickets[i]).tokens,
        Alone(models[i % 2], Ask(MakePrompt(50 + i, i / 4), 10), options[i % 2])
            .tokens)
        << i;
    EXPECT_LE(options[0].budget->bytes(), options[0].budget->max_bytes());
  }
}

}  // namespace
}  // namespace gemma::internal
