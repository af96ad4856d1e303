// Engine: how requests end, and threads. See batcher_test.cc for what it
// computes.

#include "gemma/engine.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <latch>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/engines.h"
#include "tests/support/error_of.h"
#include "tests/support/requests.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;

const Toy kEngineToy = {"", "gemma3"};

TEST(Engine, RefusesBadOptions) {
  const Model model = LoadSpeakingToy(kEngineToy, 1, 64);
  const auto error = [&](const EngineOptions& options) {
    return ErrorOf(Engine::Create(model, options).status());
  };
  EXPECT_THAT(error({.max_sequences = 0}),
              HasSubstr("max_sequences is 0, wanted 1 to 1024"));
  EXPECT_THAT(error({.max_sequences = 1025}), HasSubstr("max_sequences"));
  EXPECT_THAT(error({.max_queued = 0}), HasSubstr("max_queued is 0"));
  EXPECT_THAT(error({.max_queued_per_client = 0}), HasSubstr("per_client"));
  EXPECT_THAT(error({.max_tokens = 0}), HasSubstr("max_tokens is 0"));
  const Model silent = LoadToy(kEngineToy);
  EXPECT_THAT(ErrorOf(Engine::Create(silent).status()), HasSubstr("tokenizer"));
}

TEST(Engine, RefusesBadRequests) {
  const Model model = LoadSpeakingToy(kEngineToy, 1, 64);
  Engine engine = MakeEngine(model, {.max_tokens = 8});
  const auto error = [&](const Request& request) {
    return ErrorOf(engine.Submit(request).status());
  };
  EXPECT_THAT(error(Ask({})), HasSubstr("no tokens"));
  EXPECT_THAT(error(Ask({2, 256})), HasSubstr("256, wanted 0 to 255"));
  EXPECT_THAT(error(Ask({2, -1})), HasSubstr("-1"));
  EXPECT_THAT(error(Ask(MakePrompt(9, 1))), HasSubstr("room for 8"));
  Request request = Ask({2});
  request.options.stop_strings = {""};
  EXPECT_THAT(error(request), HasSubstr("stop string"));
  request = Ask({2});
  request.options.sampling.top_p = 2;
  EXPECT_THAT(error(request), HasSubstr("top_p is 2"));
  // The refused requests took no place.
  EXPECT_EQ(AnswerOf(Submit(engine, Ask(MakePrompt(8, 1)))).stats.stop_reason,
            StopReason::kContextFull);
}

TEST(Engine, AFullQueueRefuses) {
  const Model model = LoadSpeakingToy(kEngineToy, 1, 64);
  Engine engine = MakeEngine(
      model, {.max_sequences = 1, .max_queued = 3, .max_queued_per_client = 2});
  Obstacle obstacle(engine);
  std::vector<Ticket> tickets;
  const auto submit = [&](std::string client) {
    Request request = Ask({2, 3});
    request.client = std::move(client);
    auto ticket = engine.Submit(std::move(request));
    if (ticket.ok()) tickets.push_back(*std::move(ticket));
    return ticket.status().code();
  };
  EXPECT_EQ(submit("a"), absl::StatusCode::kOk);
  EXPECT_EQ(submit("a"), absl::StatusCode::kOk);
  EXPECT_EQ(submit("a"), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(submit("b"), absl::StatusCode::kOk);
  EXPECT_EQ(submit("c"), absl::StatusCode::kResourceExhausted);
  EXPECT_FALSE(tickets[0].done());
  obstacle.Release();
  for (const Ticket& ticket : tickets) {
    EXPECT_EQ(AnswerOf(ticket).tokens.size(), 4u);
  }
}

TEST(Engine, CancelledFromAnotherThread) {
  const Model model = LoadSpeakingToy(kEngineToy, 2, 64);
  Engine engine = MakeEngine(model);
  for (const size_t after : {0, 1, 5}) {
    std::latch reached(1);
    size_t tokens = 0;
    Request request = Ask(MakePrompt(100, 1), 4000 - after);
    request.on_text = [&](std::string_view) { return true; };
    request.options.on_token = [&](const ScoredToken&) {
      if (++tokens == after) reached.count_down();
    };
    if (after == 0) reached.count_down();
    Ticket ticket = Submit(engine, std::move(request));
    reached.wait();
    ticket.Cancel();
    const Completion answer = AnswerOf(ticket);
    EXPECT_EQ(answer.stats.stop_reason, StopReason::kCancelled);
    EXPECT_GE(answer.tokens.size(), after);
    EXPECT_EQ(answer.stats.new_tokens, answer.tokens.size());
  }
}

TEST(Engine, DroppedTicketsCallNobody) {
  const Model model = LoadSpeakingToy(kEngineToy, 2, 64);
  std::atomic<size_t> late = 0;
  {
    Engine engine = MakeEngine(model);
    for (size_t i = 0; i < 20; ++i) {
      auto calls = std::make_shared<std::atomic<size_t>>(0);
      auto dropped = std::make_shared<std::atomic<bool>>(false);
      Request request = Ask(MakePrompt(10, i), 4000);
      request.options.on_token = [&late, calls, dropped](const ScoredToken&) {
        ++*calls;
        if (*dropped) ++late;
      };
      {
        const Ticket ticket = Submit(engine, std::move(request));
        while (i % 2 == 0 && *calls == 0) std::this_thread::yield();
      }
      *dropped = true;
    }
    // The engine still works.
    EXPECT_EQ(AnswerOf(Submit(engine, Ask(MakePrompt(10, 1), 5))).tokens.size(),
              5u);
  }
  EXPECT_EQ(late, 0u);
}

TEST(Engine, DeadlineAtAnyStage) {
  const Model model = LoadSpeakingToy(kEngineToy, 1, 64);
  Engine engine = MakeEngine(model, {.max_sequences = 1});
  // A deadline that has passed.
  Request late = Ask(MakePrompt(100, 1));
  late.options.deadline = Clock::now();
  EXPECT_EQ(AnswerOf(Submit(engine, late)).stats.stop_reason,
            StopReason::kDeadline);
  // A deadline while the request waits.
  {
    Obstacle obstacle(engine);
    late.options.deadline = Clock::now() + std::chrono::milliseconds(1);
    const Ticket waiting = Submit(engine, late);
    std::this_thread::sleep_until(*late.options.deadline);
    obstacle.Release();
    const Completion answer = AnswerOf(waiting);
    EXPECT_EQ(answer.stats.stop_reason, StopReason::kDeadline);
    EXPECT_EQ(answer.stats.prefill_seconds, 0);
    EXPECT_EQ(answer.stats.prompt_tokens, 0u);
  }
  // Deadlines in the prompt, and in the answer.
  for (const size_t prompt : {1000, 10}) {
    late = Ask(MakePrompt(prompt, prompt), 100);
    late.options.deadline = Clock::now() + std::chrono::milliseconds(50);
    size_t asked = 0;
    late.options.cancelled = [&] {
      if (++asked == 5) std::this_thread::sleep_until(*late.options.deadline);
      return false;
    };
    const Completion answer = AnswerOf(Submit(engine, late));
    EXPECT_EQ(answer.stats.stop_reason, StopReason::kDeadline);
    EXPECT_LE(answer.tokens.size(), 5u);
  }
}

TEST(Engine, ThrowFailsOneRequest) {
  const Model model = LoadSpeakingToy(kEngineToy, 2, 64);
  Engine engine = MakeEngine(model);
  std::vector<Request> requests(5, Ask(MakePrompt(50, 1), 20));
  requests[0].on_text = [](std::string_view) -> bool {
    throw std::runtime_error("no more paper");
  };
  requests[1].options.on_token = [n = 0](const ScoredToken&) mutable {
    if (++n == 7) throw 5;
  };
  requests[2].options.cancelled = []() -> bool {
    throw std::runtime_error("who asks?");
  };
  requests[3].options.on_prompt = [](size_t, size_t) {
    throw std::runtime_error("too slow");
  };
  std::vector<Ticket> tickets;
  for (const Request& request : requests) {
    tickets.push_back(Submit(engine, request));
  }
  const char* expected[] = {"threw: no more paper", "threw", "threw: who asks?",
                            "threw: too slow"};
  for (size_t i = 0; i < 4; ++i) {
    const absl::Status status = tickets[i].Wait().status();
    EXPECT_TRUE(absl::IsInternal(status));
    EXPECT_THAT(ErrorOf(status), HasSubstr(expected[i]));
  }
  EXPECT_EQ(AnswerOf(tickets[4]).tokens.size(), 20u);
}

TEST(Engine, CallerStopEndsCalls) {
  const Model model = LoadSpeakingToy(kEngineToy, 1, 64);
  Engine engine = MakeEngine(model);
  Request request = Ask(MakePrompt(50, 1), 100);
  size_t calls = 0;
  request.on_text = [&](std::string_view) { return ++calls < 3; };
  const Completion answer = AnswerOf(Submit(engine, request));
  EXPECT_EQ(calls, 3u);
  EXPECT_EQ(answer.stats.stop_reason, StopReason::kCancelled);
}

TEST(Engine, RequestsMaySubmitRequests) {
  const Model model = LoadSpeakingToy(kEngineToy, 1, 64);
  Engine engine = MakeEngine(model, {.max_sequences = 1});
  std::optional<Ticket> second;
  std::latch submitted(1);
  Request request = Ask(MakePrompt(50, 1), 1);
  request.options.on_token = [&](const ScoredToken&) {
    second.emplace(Submit(engine, Ask(MakePrompt(20, 2), 3)));
    submitted.count_down();
  };
  const Ticket first = Submit(engine, request);
  submitted.wait();
  EXPECT_EQ(AnswerOf(*second).tokens.size(), 3u);
}

TEST(Engine, EndsWithItsRequests) {
  const Model model = LoadSpeakingToy(kEngineToy, 2, 64);
  std::vector<Ticket> tickets;
  {
    Engine engine = MakeEngine(model, {.max_sequences = 2});
    for (size_t i = 0; i < 6; ++i) {
      tickets.push_back(Submit(engine, Ask(MakePrompt(200, i), 3000)));
    }
  }
  for (const Ticket& ticket : tickets) {
    ASSERT_TRUE(ticket.done());
    EXPECT_EQ(AnswerOf(ticket).stats.stop_reason, StopReason::kCancelled);
  }
}

// For the thread sanitizer.
TEST(Engine, SubmitsFromManyThreads) {
  const Model model = LoadSpeakingToy(kEngineToy, 2, 64);
  Engine engine = MakeEngine(model, {.max_tokens = 300, .max_sequences = 5});
  const Request whole = Ask(MakePrompt(30, 0), 20);
  const std::vector<TokenId> expected = AnswerOf(Submit(engine, whole)).tokens;
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < 12; ++i) {
        Request request = whole;
        request.client = std::to_string(t);
        std::string text;
        request.on_text = [&](std::string_view part) {
          text += part;
          return true;
        };
        Ticket ticket = Submit(engine, std::move(request));
        if (i % 3 == 0) ticket.Cancel();
        if (i % 3 == 1) continue;
        const Completion answer = AnswerOf(ticket);
        EXPECT_EQ(answer.text, text);
        if (i % 3 == 2) {
          EXPECT_EQ(answer.tokens, expected);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// A session of the same model computes between the passes of the engine.
TEST(Engine, SharesModelWithSessions) {
  const Model model = LoadSpeakingToy({"", "recurrent_gemma"}, 2, 64);
  const std::vector<float> expected = AllLogits(model, MakePrompt(90, 4));
  const Request request = Ask(MakePrompt(200, 1), 30);
  const Outcome alone = Alone(model, request, {});
  Engine engine = MakeEngine(model);
  std::vector<Ticket> tickets;
  for (size_t i = 0; i < 3; ++i) tickets.push_back(Submit(engine, request));
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(AllLogits(model, MakePrompt(90, 4)), expected);
  }
  for (const Ticket& ticket : tickets) {
    Outcome outcome;
    Collect(ticket, &outcome);
    EXPECT_EQ(outcome, alone);
  }
}

}  // namespace
}  // namespace gemma::internal
