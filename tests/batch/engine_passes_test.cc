// EngineOptions::between_passes: what functions of requests collect is handed
// over once a pass.

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/engines.h"
#include "tests/support/error_of.h"
#include "tests/support/requests.h"
#include "tests/support/without_hanging.h"

namespace gemma::internal {
namespace {

const Toy kPassesToy = {"", "gemma3"};

// Collects tokens and ends of requests, and counts how many of them each call
// between passes hands over.
class Handover {
 public:
  EngineOptions Options(EngineOptions options = {}) {
    options.between_passes = [this] {
      const std::lock_guard lock(mutex_);
      if (collected_ == 0) return;
      handed_over_.push_back(std::exchange(collected_, 0));
      changed_.notify_all();
    };
    return options;
  }

  Request Of(Request request) {
    request.options.on_token = [this](const ScoredToken&) { Collect(); };
    request.on_done = [this](const absl::StatusOr<Completion>&) { Collect(); };
    return request;
  }

  // Waits until `count` tokens and ends were handed over. Returns how many each
  // call had.
  std::vector<size_t> WaitFor(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return Sum() >= count; });
    return handed_over_;
  }

 private:
  void Collect() {
    const std::lock_guard lock(mutex_);
    ++collected_;
  }
  size_t Sum() const {
    size_t sum = 0;
    for (const size_t each : handed_over_) sum += each;
    return sum;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  size_t collected_ = 0;
  std::vector<size_t> handed_over_;
};

TEST(EnginePasses, TokensComeTogether) {
  WithoutHanging([] {
    const Model model = LoadSpeakingToy(kPassesToy, 2, 64);
    Handover handover;
    Engine engine = MakeEngine(model, handover.Options());
    constexpr size_t kRequests = 5;
    constexpr size_t kTokens = 20;
    std::vector<Ticket> tickets;
    Obstacle obstacle(engine);  // so that all requests run at the same time
    for (size_t i = 0; i < kRequests; ++i) {
      tickets.push_back(
          Submit(engine, handover.Of(Ask(MakePrompt(9, i + 1), kTokens))));
    }
    obstacle.Release();
    const std::vector<size_t> each =
        handover.WaitFor(kRequests * (kTokens + 1));
    // A call for each pass at most, although 5 requests have a token in most.
    EXPECT_LE(each.size(), engine.Snapshot().passes);
    EXPECT_LT(each.size(), kRequests * kTokens / 2);
    // The last pass of a request also ends it.
    for (const size_t count : each) EXPECT_LE(count, 2 * kRequests);
  });
}

// What happens while nothing is computed is handed over too.
TEST(EnginePasses, WaitingRequestsCount) {
  WithoutHanging([] {
    const Model model = LoadSpeakingToy(kPassesToy, 2, 64);
    Handover handover;
    Request request = handover.Of(Ask(MakePrompt(9, 1)));
    request.options.cancelled = [] { return true; };
    Engine engine = MakeEngine(model, handover.Options());
    const Ticket ticket = Submit(engine, std::move(request));
    EXPECT_EQ(handover.WaitFor(1), std::vector<size_t>{1});
    EXPECT_EQ(engine.Snapshot().passes, 0u);
  });
}

TEST(EnginePasses, EndOfEngineCounts) {
  WithoutHanging([] {
    const Model model = LoadSpeakingToy(kPassesToy, 2, 64);
    Handover handover;
    std::optional<Engine> engine =
        MakeEngine(model, handover.Options({.max_sequences = 1}));
    std::vector<Ticket> tickets;
    for (size_t i = 0; i < 3; ++i) {
      Request request = Ask(MakePrompt(9, i + 1), 1000);
      tickets.push_back(Submit(*engine, handover.Of(std::move(request))));
    }
    engine.reset();
    size_t tokens = 0;
    for (const Ticket& ticket : tickets) tokens += ticket.Wait()->tokens.size();
    const std::vector<size_t> each = handover.WaitFor(tokens + 3);
    EXPECT_GE(each.size(), 1u);
  });
}

TEST(EnginePasses, VectorsCountToo) {
  WithoutHanging([] {
    LoadOptions options;
    options.num_threads = kToyThreads;
    const Model model = LoadOrDie(ToyPath("embedding_gemma"), options);
    Handover handover;
    Engine engine = MakeEngine(model, handover.Options());
    Request request;
    request.texts = {"a", "b"};
    const Ticket ticket = Submit(engine, handover.Of(std::move(request)));
    EXPECT_EQ(handover.WaitFor(1), std::vector<size_t>{1});
  });
}

// What it uses may be gone by then.
TEST(EnginePasses, DestroyedEngineCallsNothing) {
  WithoutHanging([] {
    const Model model = LoadSpeakingToy(kPassesToy, 2, 64);
    const auto calls = std::make_shared<std::atomic<size_t>>(0);
    std::optional<size_t> calls_at_end;
    std::optional<Engine> engine;
    {
      EngineOptions options;
      options.between_passes = [calls] { ++*calls; };
      engine.emplace(MakeEngine(model, options));
    }
    Request request = Ask(MakePrompt(9, 1), 3);
    request.on_done = [&](const absl::StatusOr<Completion>&) {
      engine.reset();
      calls_at_end = *calls;
    };
    const Ticket ticket = Submit(*engine, std::move(request));
    EXPECT_EQ(ErrorOf(ticket.Wait()), "OK");
    // The engine's thread drops the function when it ends.
    while (calls.use_count() > 1) std::this_thread::yield();
    EXPECT_EQ(*calls, calls_at_end);
  });
}

TEST(EnginePasses, ThrowingFailsRunningRequests) {
  WithoutHanging([] {
    const Model model = LoadSpeakingToy(kPassesToy, 2, 64);
    std::atomic<bool> throws = true;
    EngineOptions options;
    options.between_passes = [&] {
      if (throws) throw 1;
    };
    Engine engine = MakeEngine(model, options);
    const Ticket first = Submit(engine, Ask(MakePrompt(9, 1)));
    EXPECT_TRUE(absl::IsInternal(first.Wait().status()));
    throws = false;
    const Ticket second = Submit(engine, Ask(MakePrompt(9, 1)));
    EXPECT_EQ(ErrorOf(second.Wait()), "OK");
  });
}

}  // namespace
}  // namespace gemma::internal
