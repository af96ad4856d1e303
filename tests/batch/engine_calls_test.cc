// Calls from functions of requests and from taps to an engine: each call works
// or is refused, and no thread waits for ever.

#include <cstddef>
#include <latch>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/error_of.h"
#include "tests/support/in_tap.h"
#include "tests/support/requests.h"
#include "tests/support/without_hanging.h"

namespace gemma::internal {
namespace {

const Toy kCallsToy = {"", "gemma3"};

TEST(EngineCalls, TapsMayNotWait) {
  WithoutHanging([] {
    const Model model = LoadSpeakingToy(kCallsToy, 2, 64);
    absl::StatusOr<Engine> engine = Engine::Create(model);
    ASSERT_EQ(ErrorOf(engine), "OK");
    std::optional<Ticket> kept;
    Session session = NewSession(model);
    InTap(session, [&] {
      absl::StatusOr<Ticket> ticket = engine->Submit(Ask(MakePrompt(20, 1)));
      ASSERT_EQ(ErrorOf(ticket), "OK");
      kept = *std::move(ticket);
      EXPECT_EQ(kept->Wait().status().code(),
                absl::StatusCode::kFailedPrecondition);
      EXPECT_FALSE(kept->done());
      // A ticket that is dropped does not wait either, nor does an engine that
      // ends.
      EXPECT_TRUE(engine->Submit(Ask(MakePrompt(20, 2))).ok());
      absl::StatusOr<Engine> dropped = Engine::Create(model);
      ASSERT_EQ(ErrorOf(dropped), "OK");
      EXPECT_TRUE(dropped->Submit(Ask(MakePrompt(20, 3))).ok());
    });
    EXPECT_EQ(ErrorOf(kept->Wait()), "OK");
  });
}

TEST(EngineCalls, FunctionsUseSessions) {
  WithoutHanging([] {
    const Model model = LoadSpeakingToy(kCallsToy, 2, 64);
    const std::vector<float> expected = AllLogits(model, MakePrompt(9, 4));
    absl::StatusOr<Engine> engine = Engine::Create(model);
    ASSERT_EQ(ErrorOf(engine), "OK");
    Request request = Ask(MakePrompt(20, 1));
    size_t calls = 0;
    request.options.on_token = [&](const ScoredToken&) {
      ++calls;
      EXPECT_EQ(AllLogits(model, MakePrompt(9, 4)), expected);
    };
    absl::StatusOr<Ticket> ticket = engine->Submit(request);
    ASSERT_EQ(ErrorOf(ticket), "OK");
    EXPECT_EQ(ErrorOf(ticket->Wait()), "OK");
    EXPECT_EQ(calls, 4u);
  });
}

TEST(EngineCalls, FunctionsMayNotWait) {
  WithoutHanging([] {
    const Model model = LoadSpeakingToy(kCallsToy, 2, 64);
    absl::StatusOr<Engine> engine = Engine::Create(model);
    ASSERT_EQ(ErrorOf(engine), "OK");
    std::optional<Ticket> second;
    Request request = Ask(MakePrompt(20, 1), 1);
    request.options.on_token = [&](const ScoredToken&) {
      absl::StatusOr<Ticket> ticket = engine->Submit(Ask(MakePrompt(20, 2)));
      ASSERT_EQ(ErrorOf(ticket), "OK");
      second = *std::move(ticket);
      EXPECT_EQ(second->Wait().status().code(),
                absl::StatusCode::kFailedPrecondition);
    };
    absl::StatusOr<Ticket> first = engine->Submit(request);
    ASSERT_EQ(ErrorOf(first), "OK");
    EXPECT_EQ(ErrorOf(first->Wait()), "OK");
    EXPECT_EQ(ErrorOf(second->Wait()), "OK");
  });
}

TEST(EngineCalls, FunctionsMayEndEngine) {
  WithoutHanging([] {
    const Model model = LoadSpeakingToy(kCallsToy, 2, 64);
    absl::StatusOr<Engine> created = Engine::Create(model);
    ASSERT_EQ(ErrorOf(created), "OK");
    std::optional<Engine> engine = *std::move(created);
    std::latch submitted(1);
    Request request = Ask(MakePrompt(20, 1), 100);
    request.options.on_token = [&](const ScoredToken&) {
      submitted.wait();
      engine.reset();
    };
    absl::StatusOr<Ticket> first = engine->Submit(request);
    ASSERT_EQ(ErrorOf(first), "OK");
    submitted.count_down();
    absl::StatusOr<Completion> answer = first->Wait();
    ASSERT_EQ(ErrorOf(answer), "OK");
    EXPECT_EQ(answer->stats.stop_reason, StopReason::kCancelled);
    EXPECT_EQ(answer->tokens.size(), 1u);
    EXPECT_FALSE(engine.has_value());
  });
}

TEST(EngineCalls, OnDoneComesLast) {
  WithoutHanging([] {
    const Model model = LoadSpeakingToy(kCallsToy, 2, 64);
    absl::StatusOr<Engine> engine = Engine::Create(model, {.max_sequences = 1});
    ASSERT_EQ(ErrorOf(engine), "OK");
    std::string text, done;
    std::optional<Ticket> dropped;
    Request request = Ask(MakePrompt(20, 1));
    request.on_text = [&](std::string_view piece) {
      EXPECT_EQ(done, "");
      text += piece;
      return true;
    };
    request.on_done = [&](const absl::StatusOr<Completion>& answer) {
      ASSERT_EQ(ErrorOf(answer), "OK");
      EXPECT_EQ(answer->tokens.size(), 4u);
      done = answer->text + ".";
      // The engine does not wait for a ticket that it ends itself.
      dropped.reset();
    };
    std::latch submitted(1);
    request.options.cancelled = [&] {
      submitted.wait();
      return false;
    };
    absl::StatusOr<Ticket> first = engine->Submit(std::move(request));
    ASSERT_EQ(ErrorOf(first), "OK");
    dropped = *std::move(first);
    // One that is cancelled while it waits, and one whose function throws.
    StopReason reason = StopReason::kStopToken;
    Request waiting = Ask(MakePrompt(20, 2));
    waiting.on_done = [&](const absl::StatusOr<Completion>& answer) {
      reason = answer->stats.stop_reason;
    };
    absl::StatusOr<Ticket> second = engine->Submit(std::move(waiting));
    second->Cancel();
    Request throwing = Ask(MakePrompt(20, 3));
    throwing.on_done = [](const absl::StatusOr<Completion>&) { throw 1; };
    absl::StatusOr<Ticket> third = engine->Submit(std::move(throwing));
    submitted.count_down();
    EXPECT_TRUE(absl::IsInternal(third->Wait().status()));
    EXPECT_EQ(ErrorOf(second->Wait()), "OK");
    EXPECT_EQ(reason, StopReason::kCancelled);
    EXPECT_EQ(done, text + ".");
    EXPECT_FALSE(dropped.has_value());
  });
}

}  // namespace
}  // namespace gemma::internal
