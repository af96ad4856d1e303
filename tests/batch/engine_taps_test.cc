// Taps of requests: each sees and changes only its own request.

#include <cstddef>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <tuple>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/batch_steps.h"
#include "tests/support/engines.h"
#include "tests/support/error_of.h"
#include "tests/support/requests.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

// Adds `strength` to the stream after the first layer.
TapFunction Steer(float strength) {
  return [=](const TapSite& site, absl::Span<float> activations) {
    if (site.point != TapPoint::kBlockOutput || site.layer != 0) return;
    for (float& value : activations) value += strength;
  };
}

class EngineTaps : public ::testing::TestWithParam<Toy> {};

INSTANTIATE_TEST_SUITE_P(Toys, EngineTaps,
                         ::testing::ValuesIn(AllSpeakingToys()),
                         [](const auto& toy) { return toy.param.name; });

// All requests have the same prompt, so that caches would be shared.
TEST_P(EngineTaps, ChangeOneRequest) {
  const Model model = LoadSpeakingToy(GetParam(), 2, 64);
  std::vector<Request> requests;
  for (const float strength : {0.0f, 3.0f, 0.0f, -5.0f, 3.0f, 0.0f}) {
    Request& request = requests.emplace_back(Ask(MakePrompt(90, 1), 12));
    request.options.on_token = [](const ScoredToken&) {};
    if (strength != 0) request.tap = Steer(strength);
  }
  EngineOptions options;
  options.max_tokens = 200;
  std::vector<Outcome> alone;
  for (const Request& request : requests) {
    alone.push_back(Alone(model, request, options));
  }
  EXPECT_NE(alone[0].scored, alone[1].scored);
  EXPECT_NE(alone[1].scored, alone[3].scored);
  Engine engine = MakeEngine(model, options);
  for (size_t round = 0; round < 2; ++round) {
    std::vector<Outcome> together(requests.size());
    std::vector<Ticket> tickets;
    for (size_t i = 0; i < requests.size(); ++i) {
      tickets.push_back(Submit(engine, Scored(requests[i], &together[i])));
    }
    for (size_t i = 0; i < requests.size(); ++i) {
      Collect(tickets[i], &together[i]);
      EXPECT_EQ(together[i], alone[i]) << i;
    }
  }
}

TEST(EngineTap, SeesEachTokenOnce) {
  const Model model = LoadSpeakingToy({"", "gemma3"}, 1, 64);
  Steps steps(model);
  const auto ask = [&](const TapFunction& tap) {
    Request request = Ask(MakePrompt(100, 1), 3);
    request.tap = tap;
    const size_t index = steps.Add(request);
    steps.Finish();
    return index;
  };
  // Without a tap, the second request would reuse the first one's caches.
  ask(nullptr);
  std::vector<size_t> positions;
  const TapFunction see = [&](const TapSite& site, absl::Span<float>) {
    if (site.point != TapPoint::kEmbedding) return;
    for (size_t i = 0; i < site.num_rows; ++i) {
      positions.push_back(site.position + i);
    }
  };
  for (size_t round = 0; round < 2; ++round) {
    positions.clear();
    EXPECT_EQ(steps.Reused(ask(see)), 0u);
    ASSERT_EQ(positions.size(), 102u);
    for (size_t i = 0; i < positions.size(); ++i) EXPECT_EQ(positions[i], i);
  }
  EXPECT_EQ(steps.Snapshot().kept_sequences, 1u);
  EXPECT_EQ(steps.Reused(ask(nullptr)), 99u);
}

TEST(EngineTap, ThrowEndsOneRequest) {
  const Model model = LoadSpeakingToy({"", "recurrent_gemma"}, 2, 64);
  const Request quiet = Ask(MakePrompt(50, 1), 20);
  const Outcome alone = Alone(model, quiet, {});
  for (const size_t when : {1, 200}) {
    Engine engine = MakeEngine(model);
    Request loud = Ask(MakePrompt(50, 2), 100);
    loud.tap = [=, calls = size_t{0}](const TapSite&,
                                      absl::Span<float>) mutable {
      if (++calls == when) throw std::runtime_error("too loud");
    };
    const Ticket failing = Submit(engine, loud);
    const Ticket other = Submit(engine, quiet);
    const absl::Status status = failing.Wait().status();
    EXPECT_TRUE(absl::IsInternal(status));
    EXPECT_THAT(ErrorOf(status), HasSubstr("too loud"));
    Outcome outcome;
    Collect(other, &outcome);
    EXPECT_EQ(outcome, alone);
    EXPECT_EQ(engine.Snapshot().failed, 1u);
  }
}

}  // namespace
}  // namespace gemma::internal
