// Session, Generate and the engine compute the same bits for a prompt, in any
// arithmetic and with any prefill chunk.

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "src/generate/scored_tokens.h"
#include "tests/support/requests.h"

namespace gemma::internal {
namespace {

constexpr size_t kNewTokens = 6;

class PromptPath : public ::testing::TestWithParam<ToyArithmetic> {};

INSTANTIATE_TEST_SUITE_P(Arithmetics, PromptPath,
                         ::testing::ValuesIn(AllArithmetics()),
                         [](const auto& at) { return at.param.name; });

// Returns the request's greedy answer by Session::Forward, which gets the whole
// prompt in one call and computes all logits.
Outcome ByForward(const Model& model, const Request& request) {
  Outcome outcome;
  outcome.stop_reason = StopReason::kMaxTokens;
  Session session = NewSession(model, {.max_tokens = 512});
  std::vector<TokenId> next = request.prompt;
  for (size_t i = 0; i < kNewTokens; ++i) {
    const auto logits = session.Forward(next);
    EXPECT_TRUE(logits.ok()) << logits.status();
    if (!logits.ok()) return outcome;
    std::vector<float> biased(logits->begin(), logits->end());
    for (const LogitBias& bias : request.options.sampling.logit_bias) {
      biased[bias.token] += bias.bias;
    }
    next = {static_cast<TokenId>(
        std::max_element(biased.begin(), biased.end()) - biased.begin())};
    outcome.tokens.push_back(next[0]);
    outcome.scored.emplace_back(next[0], LogProbabilities(*logits)[next[0]],
                                std::vector<TokenId>());
  }
  outcome.text = (*model.tokenizer())->Decode(outcome.tokens);
  return outcome;
}

// Returns the engine's answer to `request`, submitted after those of `company`.
Outcome ByEngine(const Model& model, const std::vector<Request>& company,
                 const Request& request) {
  Outcome outcome;
  auto engine = Engine::Create(model, {.max_tokens = 512});
  EXPECT_TRUE(engine.ok()) << engine.status();
  if (!engine.ok()) return outcome;
  std::vector<Ticket> tickets;
  for (const Request& other : company) {
    tickets.push_back(*engine->Submit(other));
  }
  tickets.push_back(*engine->Submit(Scored(request, &outcome)));
  Collect(tickets.back(), &outcome);
  return outcome;
}

TEST_P(PromptPath, SameBitsEveryWay) {
  for (const char* toy : {"gemma3", "gemma2", "recurrent_gemma", "gemma3n",
                          "gemma4_e2b", "gemma4_moe"}) {
    for (const size_t chunk : {32, 100, 256, 1024}) {
      LoadOptions options = GetParam().options;
      options.prefill_chunk = chunk;
      const Model model = LoadSpeakingToy({"", toy}, options);
      // 270 is 14 more than the default chunk: the last pass has few rows.
      for (const size_t size : {300, 270}) {
        SCOPED_TRACE(testing::Message()
                     << toy << ", chunk " << chunk << ", prompt " << size);
        Request request = Ask(MakePrompt(size, 1), kNewTokens);
        request.options.on_token = [](const ScoredToken&) {};
        const std::vector<Request> company = {
            Ask(MakePrompt(3, 2), 40), Ask(MakePrompt(400, 3), 40),
            Ask(Concat(MakePrompt(140, 1), MakePrompt(40, 4)), 10)};
        const Outcome expected = ByForward(model, request);
        EXPECT_EQ(Alone(model, request, {.max_tokens = 512}), expected);
        EXPECT_EQ(ByEngine(model, {}, request), expected);
        EXPECT_EQ(ByEngine(model, company, request), expected);
      }
    }
  }
}

TEST(GeneratePrompt, PassesOfTheChunk) {
  for (const size_t chunk : {64, 256, 1024}) {
    const Model model = LoadSpeakingToy({"", "gemma3"}, 1, chunk);
    Session session = NewSession(model);
    std::vector<size_t> passes;
    session.SetTap([&](const TapSite& site, absl::Span<float>) {
      if (site.point == TapPoint::kMixOutput && site.layer == 0) {
        passes.push_back(site.num_rows);
      }
    });
    GenerateOptions options;
    options.max_new_tokens = 1;
    std::vector<size_t> told;
    options.on_prompt = [&](size_t done, size_t total) {
      EXPECT_EQ(total, 1100u);
      EXPECT_EQ(done, session.position());
      told.push_back(done);
    };
    ASSERT_TRUE(
        Generate(session, MakePrompt(1100, 1), options, [](std::string_view) {
          return true;
        }).ok());
    std::vector<size_t> expected(1100 / chunk, chunk);
    expected.push_back(1100 % chunk);
    passes.resize(std::min(passes.size(), expected.size()));
    EXPECT_EQ(passes, expected);
    size_t sum = 0;
    for (size_t& pass : expected) pass = sum += pass;
    EXPECT_EQ(told, expected);
  }
}

}  // namespace
}  // namespace gemma::internal
