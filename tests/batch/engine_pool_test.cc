// Models that share the threads of a pool.

#include "gemma/thread_pool.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/forward/worker_turns.h"
#include "src/session/model_impl.h"
#include "tests/support/engines.h"
#include "tests/support/error_of.h"
#include "tests/support/requests.h"

namespace gemma::internal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ThreadPool MakePool(size_t threads) {
  absl::StatusOr<ThreadPool> pool = ThreadPool::Create(threads);
  EXPECT_EQ(ErrorOf(pool), "OK");
  return *std::move(pool);
}

Model LoadOn(const ThreadPool& pool, const std::string& toy) {
  LoadOptions options;
  options.thread_pool = pool;
  options.prefill_chunk = 64;
  return LoadSpeakingToy({"", toy}, std::move(options));
}

TEST(EnginePool, RefusesBadOptions) {
  EXPECT_THAT(ErrorOf(ThreadPool::Create(100000)),
              HasSubstr("num_threads is 100000"));
  LoadOptions options;
  options.thread_pool = MakePool(2);
  EXPECT_EQ(ThreadsFor(options).prefill, 2u);
  options.num_threads = 1;
  EXPECT_THAT(ErrorOf(Model::Load(ToyPath("gemma"), options)),
              HasSubstr("num_threads is 1, wanted 0 with a thread_pool"));
}

// Threads get their turns in the order in which they ask.
TEST(EnginePool, TurnsComeInOrder) {
  const ThreadPool pool = MakePool(1);
  ThreadPool::Impl& turns = *pool.impl();
  std::vector<size_t> order;  // guarded by turns
  std::vector<std::thread> threads;
  {
    const ThreadPool::Impl::Turn turn(turns);
    for (size_t i = 0; i < 5; ++i) {
      threads.emplace_back([&, i] {
        const ThreadPool::Impl::Turn mine(turns);
        order.push_back(i);
      });
      while (turns.num_waiting() != i + 1) std::this_thread::yield();
    }
    EXPECT_TRUE(ThreadPool::Impl::HasTurn(&turns));
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(order, ElementsAre(0, 1, 2, 3, 4));
  EXPECT_FALSE(ThreadPool::Impl::HasTurn(&turns));
}

TEST(EnginePool, SameAnswersAsAlone) {
  const ThreadPool pool = MakePool(2);
  const std::vector<Model> models = {LoadOn(pool, "gemma"),
                                     LoadOn(pool, "recurrent_gemma")};
  EXPECT_EQ(models[0].num_threads(), 2u);
  EngineOptions options;
  options.max_tokens = 300;
  std::vector<Engine> engines;
  std::vector<std::vector<Outcome>> alone(2);
  for (size_t m = 0; m < 2; ++m) {
    engines.push_back(MakeEngine(models[m], options));
    for (size_t i = 0; i < 4; ++i) {
      alone[m].push_back(
          Alone(models[m], Ask(MakePrompt(70 + 30 * i, i), 10), options));
    }
  }
  std::vector<Ticket> tickets;
  for (size_t i = 0; i < 4; ++i) {
    for (size_t m = 0; m < 2; ++m) {
      tickets.push_back(
          Submit(engines[m], Ask(MakePrompt(70 + 30 * i, i), 10)));
    }
  }
  for (size_t i = 0; i < tickets.size(); ++i) {
    const Completion answer = AnswerOf(tickets[i]);
    EXPECT_EQ(answer.tokens, alone[i % 2][i / 2].tokens) << i;
    EXPECT_EQ(answer.text, alone[i % 2][i / 2].text) << i;
  }
}

// While one model reads a prompt, another one that has work computes between
// any two pieces of it.
TEST(EnginePool, WaitsForOnePiece) {
  const ThreadPool pool = MakePool(1);
  const Model reading = LoadOn(pool, "gemma");
  const Model answering = LoadOn(pool, "gemma3");
  Engine reader = MakeEngine(reading, {.max_tokens = 1000});
  Engine answerer = MakeEngine(answering, {.max_tokens = 1000});
  std::atomic<bool> is_read = false;
  // Whoever computes waits until the other one asks for its next pass.
  const auto wait = [&] {
    while (pool.impl()->num_waiting() == 0 && !is_read) {
      std::this_thread::yield();
    }
  };
  std::atomic<size_t> passes = 0;  // of the answerer
  Request answer = Ask(MakePrompt(3, 1), 900);
  answer.tap = [&](const TapSite& site, absl::Span<float>) {
    if (site.point != TapPoint::kEmbedding) return;
    ++passes;
    wait();
  };
  Request prompt = Ask(MakePrompt(512, 2), 1);
  std::vector<size_t> passes_at;  // at each piece
  prompt.tap = [&](const TapSite& site, absl::Span<float>) {
    if (site.point != TapPoint::kEmbedding) return;
    passes_at.push_back(passes);
    wait();
  };
  Ticket answered = Submit(answerer, std::move(answer));
  while (passes == 0) std::this_thread::yield();
  AnswerOf(Submit(reader, std::move(prompt)));
  is_read = true;
  answered.Cancel();
  ASSERT_GE(passes_at.size(), 8u);
  for (size_t i = 1; i < 8; ++i) EXPECT_GT(passes_at[i], passes_at[i - 1]) << i;
}

// A tap has the pool's turn, so it can compute with the other models, but not
// wait for their engines.
TEST(EnginePool, TapsUseOtherModels) {
  const ThreadPool pool = MakePool(2);
  const Model outer = LoadOn(pool, "gemma");
  const Model inner = LoadOn(pool, "gemma3");
  Engine engine = MakeEngine(outer);
  Engine other = MakeEngine(inner);
  const Request quiet = Ask(MakePrompt(80, 1), 4);
  const Outcome alone = Alone(outer, quiet, {});
  Session session = NewSession(inner, {.max_tokens = 100});
  absl::Status waited;
  absl::Status computed;
  Request request = quiet;
  request.tap = [&](const TapSite& site, absl::Span<float>) {
    if (site.point != TapPoint::kEmbedding) return;
    computed.Update(session.Append(std::vector<TokenId>{5}));
    const Ticket ticket = Submit(other, Ask({2, 5}, 1));
    waited = ticket.Wait().status();
  };
  Outcome outcome;
  Collect(Submit(engine, std::move(request)), &outcome);
  EXPECT_EQ(outcome.tokens, alone.tokens);
  EXPECT_EQ(ErrorOf(computed), "OK");
  EXPECT_TRUE(absl::IsFailedPrecondition(waited)) << waited;
  EXPECT_GT(session.position(), 3u);
}

}  // namespace
}  // namespace gemma::internal
