// What an engine says about its state, and when the parts of requests happened.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <latch>
#include <numeric>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/batch_steps.h"
#include "tests/support/engines.h"
#include "tests/support/error_of.h"
#include "tests/support/requests.h"
#include "tests/support/without_hanging.h"

namespace gemma::internal {
namespace {

const Toy kSnapshotToy = {"", "gemma3"};

uint64_t Ended(const EngineSnapshot& snapshot) {
  return std::accumulate(snapshot.ended.begin(), snapshot.ended.end(),
                         uint64_t{0});
}

bool AddsUp(const EngineSnapshot& snapshot) {
  return snapshot.submitted ==
         snapshot.queued + snapshot.running + snapshot.failed + Ended(snapshot);
}

TEST(EngineSnapshot, CountsWork) {
  const Model model = LoadSpeakingToy(kSnapshotToy, 1, 64);
  EngineOptions options;
  options.max_tokens = 300;
  Steps steps(model, options);
  const EngineSnapshot fresh = steps.Snapshot();
  EXPECT_EQ(fresh.passes, 0u);
  EXPECT_EQ(fresh.max_sequences, 8u);
  EXPECT_EQ(fresh.max_reuse_bytes, options.reuse_bytes);

  const uint64_t cache =
      SequencePool::SequenceBytes(model, Batcher::SequenceOptions(options));
  steps.Add(Ask(MakePrompt(100, 1), 5));
  steps.Step();
  const EngineSnapshot first = steps.Snapshot();
  EXPECT_EQ(first.running, 1u);
  EXPECT_EQ(first.passes, 1u);
  EXPECT_EQ(first.last_rows, 64u);
  EXPECT_EQ(first.computed_tokens, 64u);
  EXPECT_EQ(first.new_tokens, 0u);
  EXPECT_EQ(first.running_tokens, 64u);
  EXPECT_EQ(first.running_bytes, cache);
  EXPECT_EQ(first.kept_sequences, 0u);
  EXPECT_GT(first.pass_seconds, 0);

  steps.Finish();
  // Two passes of the prompt, and one for each token but the last.
  const EngineSnapshot second = steps.Snapshot();
  EXPECT_EQ(second.running, 0u);
  EXPECT_EQ(second.running_tokens, 0u);
  EXPECT_EQ(second.running_bytes, 0u);
  EXPECT_EQ(second.passes, 6u);
  EXPECT_EQ(second.rows, 104u);
  // Of one row, of 36 of the prompt, and of 64.
  EXPECT_EQ(second.passes_by_rows[0], 4u);
  EXPECT_EQ(second.passes_by_rows[3], 0u);
  EXPECT_EQ(second.passes_by_rows[4], 2u);
  EXPECT_EQ(second.last_rows, 1u);
  EXPECT_EQ(second.computed_tokens, 100u);
  EXPECT_EQ(second.reused_tokens, 0u);
  EXPECT_EQ(second.new_tokens, 5u);
  EXPECT_EQ(second.ended_by(StopReason::kMaxTokens), 1u);
  EXPECT_EQ(second.kept_sequences, 1u);
  EXPECT_EQ(second.kept_tokens, 104u);
  EXPECT_GE(second.reuse_bytes, cache);
  EXPECT_TRUE(AddsUp(second));

  steps.Add(Ask(MakePrompt(100, 1), 1));
  steps.Finish();
  const EngineSnapshot third = steps.Snapshot();
  EXPECT_EQ(third.reused_tokens, 99u);
  EXPECT_EQ(third.computed_tokens, 101u);
  EXPECT_EQ(third.kept_sequences, 1u);
}

TEST(EngineSnapshot, TellsWhereRequestsEnd) {
  const Model model = LoadSpeakingToy(kSnapshotToy, 1, 64);
  Steps steps(model);
  bool stop = true;
  const auto add = [&](size_t prompt) {
    Request request = Ask(MakePrompt(prompt, prompt), 100);
    request.options.cancelled = [&] { return stop; };
    steps.Add(request);
  };
  add(200);
  steps.Step();
  EXPECT_EQ(steps.Snapshot().interrupted_in_queue, 1u);
  stop = false;
  add(201);
  steps.Step();
  stop = true;
  steps.Finish();
  EXPECT_EQ(steps.Snapshot().interrupted_in_prompt, 1u);
  stop = false;
  add(50);
  steps.Step();
  steps.Step();
  stop = true;
  steps.Finish();
  EXPECT_EQ(steps.Snapshot().interrupted_in_answer, 1u);
  Request request = Ask(MakePrompt(50, 1), 3);
  request.options.on_token = [](const ScoredToken&) { throw 5; };
  steps.Add(request);
  steps.Finish();
  const EngineSnapshot last = steps.Snapshot();
  EXPECT_EQ(last.failed, 1u);
  EXPECT_EQ(last.ended_by(StopReason::kCancelled), 3u);
  EXPECT_TRUE(AddsUp(last));
}

TEST(EngineSnapshot, CountsTheQueue) {
  const Model model = LoadSpeakingToy(kSnapshotToy, 1, 64);
  Engine engine = MakeEngine(model, {.max_sequences = 1, .max_queued = 2});
  Obstacle obstacle(engine);
  std::vector<Ticket> tickets;
  tickets.push_back(Submit(engine, Ask(MakePrompt(20, 1), 1)));
  Request late = Ask(MakePrompt(30, 1), 1);
  late.options.deadline = std::chrono::steady_clock::now();
  tickets.push_back(Submit(engine, late));
  EXPECT_FALSE(engine.Submit(Ask({2}, 1)).ok());
  const EngineSnapshot full = engine.Snapshot();
  EXPECT_EQ(full.submitted, 3u);
  EXPECT_EQ(full.queued, 2u);
  EXPECT_EQ(full.queued_tokens, 50u);
  EXPECT_EQ(full.running, 1u);
  EXPECT_EQ(full.refused, 1u);
  obstacle.Release();
  for (const Ticket& ticket : tickets) AnswerOf(ticket);
  const EngineSnapshot last = engine.Snapshot();
  EXPECT_EQ(last.queued_tokens, 0u);
  EXPECT_EQ(last.ended_by(StopReason::kDeadline), 1u);
  EXPECT_EQ(last.interrupted_in_queue, 1u);
  EXPECT_EQ(last.ended_by(StopReason::kMaxTokens), 2u);
  EXPECT_TRUE(AddsUp(last));
}

// A tap holds the pass until the snapshot has been taken.
TEST(EngineSnapshot, NeverWaitsForPasses) {
  WithoutHanging([] {
    const Model model = LoadSpeakingToy(kSnapshotToy, 1, 64);
    Engine engine = MakeEngine(model, {.max_sequences = 1});
    std::latch reached(1);
    std::latch released(1);
    Request request = Ask(MakePrompt(20, 1), 1);
    request.tap = [&, called = false](const TapSite&,
                                      absl::Span<float>) mutable {
      if (std::exchange(called, true)) return;
      EXPECT_EQ(engine.Snapshot().running, 1u);
      reached.count_down();
      released.wait();
    };
    const Ticket ticket = Submit(engine, std::move(request));
    const Ticket other = Submit(engine, Ask(MakePrompt(30, 1), 1));
    reached.wait();
    const EngineSnapshot held = engine.Snapshot();
    EXPECT_EQ(held.running, 1u);
    EXPECT_EQ(held.queued, 1u);
    EXPECT_EQ(held.passes, 0u);
    EXPECT_TRUE(ticket.times().started.has_value());
    EXPECT_FALSE(ticket.times().first_token.has_value());
    EXPECT_FALSE(other.times().started.has_value());
    released.count_down();
    AnswerOf(ticket);
    AnswerOf(other);
    EXPECT_EQ(engine.Snapshot().running, 0u);
  });
}

// For the thread sanitizer.
TEST(EngineSnapshot, AddsUpAlways) {
  const Model model = LoadSpeakingToy(kSnapshotToy, 2, 64);
  Engine engine = MakeEngine(model, {.max_tokens = 300, .max_sequences = 3});
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      EngineSnapshot before;
      while (!done) {
        const EngineSnapshot now = engine.Snapshot();
        EXPECT_TRUE(AddsUp(now));
        EXPECT_LE(now.running, 3u);
        EXPECT_GE(now.rows, before.rows);
        EXPECT_GE(Ended(now), Ended(before));
        before = now;
      }
    });
  }
  std::vector<Ticket> tickets;
  for (size_t i = 0; i < 30; ++i) {
    tickets.push_back(Submit(engine, Ask(MakePrompt(1 + i % 40, i), 8)));
    if (i % 5 == 0) tickets.back().Cancel();
  }
  size_t new_tokens = 0;
  for (const Ticket& ticket : tickets) {
    ticket.times();
    new_tokens += AnswerOf(ticket).tokens.size();
  }
  const EngineSnapshot last = engine.Snapshot();
  done = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(last.submitted, 30u);
  EXPECT_EQ(Ended(last), 30u);
  EXPECT_EQ(last.new_tokens, new_tokens);
}

TEST(RequestTimes, FollowTheAnswer) {
  const Model model = LoadSpeakingToy(kSnapshotToy, 1, 64);
  Engine engine = MakeEngine(model);
  constexpr auto kPause = std::chrono::milliseconds(3);
  std::optional<Ticket> ticket;
  std::latch submitted(1);
  Request request = Ask(MakePrompt(100, 1), 4);
  size_t calls = 0;
  request.options.on_token = [&](const ScoredToken&) {
    submitted.wait();
    const RequestTimes now = ticket->times();
    EXPECT_EQ(now.num_tokens, calls++);
    EXPECT_TRUE(now.started.has_value());
    EXPECT_FALSE(now.ended.has_value());
    std::this_thread::sleep_for(kPause);
  };
  ticket = Submit(engine, request);
  submitted.count_down();
  const Completion answer = AnswerOf(*ticket);
  const RequestTimes& times = answer.times;
  ASSERT_TRUE(times.started && times.first_token && times.ended);
  EXPECT_EQ(times.num_tokens, 4u);
  EXPECT_LE(times.queued, *times.started);
  EXPECT_LE(*times.started, *times.first_token);
  EXPECT_LE(*times.first_token + 3 * kPause, *times.last_token);
  EXPECT_LE(*times.last_token + kPause, *times.ended);
  ASSERT_EQ(answer.token_seconds.size(), 4u);
  const auto seconds = [&](RequestTimes::TimePoint time) {
    return std::chrono::duration<double>(time - times.queued).count();
  };
  EXPECT_EQ(answer.token_seconds.front(), seconds(*times.first_token));
  EXPECT_EQ(answer.token_seconds.back(), seconds(*times.last_token));
  for (size_t i = 1; i < 4; ++i) {
    EXPECT_GE(answer.token_seconds[i], answer.token_seconds[i - 1] + 0.003);
  }
  EXPECT_EQ(ticket->times().ended, times.ended);
}

TEST(RequestTimes, OfUnbegunRequests) {
  const Model model = LoadSpeakingToy(kSnapshotToy, 1, 64);
  Engine engine = MakeEngine(model, {.max_sequences = 1});
  Obstacle obstacle(engine);
  Ticket ticket = Submit(engine, Ask(MakePrompt(20, 1), 1));
  ticket.Cancel();
  obstacle.Release();
  const RequestTimes times = AnswerOf(ticket).times;
  EXPECT_FALSE(times.started.has_value());
  EXPECT_FALSE(times.first_token.has_value());
  ASSERT_TRUE(times.ended.has_value());
  EXPECT_LE(times.queued, *times.ended);
}

}  // namespace
}  // namespace gemma::internal
