// The answers of the engine equal those of Generate alone, bit for bit.

#include <cstddef>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/requests.h"

namespace gemma::internal {
namespace {

// Requests of all kinds and lengths; some begin in the same way.
std::vector<Request> MixedRequests() {
  const std::vector<TokenId> system = MakePrompt(290, 1);
  const std::vector<TokenId> question = MakePrompt(33, 2);
  std::vector<Request> requests(14);
  const std::vector<TokenId> prompts[] = {
      MakePrompt(1, 3),
      MakePrompt(31, 4),
      MakePrompt(32, 5),
      MakePrompt(70, 6),
      MakePrompt(257, 7),
      MakePrompt(700, 8),
      Concat(system, MakePrompt(3, 9)),
      Concat(system, MakePrompt(40, 10)),
      Concat(system, question),
      Concat(system, Concat(question, system)),
      system,
      question,
      Concat(question, system),
      MakePrompt(300, 1)};
  for (size_t i = 0; i < requests.size(); ++i) {
    Request& request = requests[i];
    request.prompt = prompts[i];
    GenerateOptions& options = request.options;
    options.max_new_tokens = 1 + 7 * i % 24;
    options.sampling = {.temperature = i % 3 == 0 ? 0.0f : 0.5f + 0.1f * i,
                        .top_k = i % 4 == 1 ? 0u : 20u,
                        .top_p = i % 5 == 2 ? 0.8f : 1.0f,
                        .seed = i};
    if (i % 4 == 3) options.sampling.repetition_penalty = 1.3f;
    if (i % 4 == 2) options.sampling.presence_penalty = 0.7f;
    if (i % 5 == 4) options.sampling.logit_bias = {{17, 3.0f}, {20, -2.0f}};
    if (i % 3 == 1) options.stop_strings = {"th", "e", "\xEF\xBF\xBD"};
    if (i % 3 == 2) {
      options.on_token = [](const ScoredToken&) {};
      options.num_alternatives = i % 4;
      options.score_prompt = i % 2 == 0;
    }
    if (i == 8) {
      options.prompt_only = true;
      options.max_new_tokens = 0;
    }
    request.client = std::string(1, static_cast<char>('a' + i % 3));
  }
  return requests;
}

class SameBitsTogether : public ::testing::TestWithParam<Toy> {};

INSTANTIATE_TEST_SUITE_P(Toys, SameBitsTogether,
                         ::testing::ValuesIn(AllSpeakingToys()),
                         [](const auto& toy) { return toy.param.name; });

// Submits all requests twice. At most `at_once` tickets are open at a time.
void ExpectAnswers(const Model& model, const EngineOptions& options,
                   const std::vector<Request>& requests,
                   const std::vector<Outcome>& expected, size_t at_once) {
  auto engine = Engine::Create(model, options);
  ASSERT_TRUE(engine.ok()) << engine.status();
  std::vector<Outcome> actual(2 * requests.size());
  std::deque<std::pair<Ticket, Outcome*>> tickets;
  const auto collect = [&] {
    Collect(tickets.front().first, tickets.front().second);
    tickets.pop_front();
  };
  for (size_t i = 0; i < actual.size(); ++i) {
    auto ticket =
        engine->Submit(Scored(requests[i % requests.size()], &actual[i]));
    ASSERT_TRUE(ticket.ok()) << ticket.status();
    tickets.emplace_back(*std::move(ticket), &actual[i]);
    if (tickets.size() == at_once) collect();
  }
  while (!tickets.empty()) collect();
  for (size_t i = 0; i < actual.size(); ++i) {
    EXPECT_EQ(actual[i], expected[i % requests.size()])
        << "request " << i << ", " << at_once << " at once, at most "
        << options.max_sequences << " together";
  }
}

std::vector<Outcome> AllAlone(const Model& model,
                              const std::vector<Request>& requests,
                              const EngineOptions& options) {
  std::vector<Outcome> outcomes;
  for (const Request& request : requests) {
    outcomes.push_back(Alone(model, request, options));
    EXPECT_EQ(outcomes.back().error, "");
  }
  return outcomes;
}

TEST_P(SameBitsTogether, AnyBatchAnyReuse) {
  const std::vector<Request> requests = MixedRequests();
  const Model model = LoadSpeakingToy(GetParam(), kToyThreads, 256);
  EngineOptions options;
  options.max_tokens = 720;
  const std::vector<Outcome> expected = AllAlone(model, requests, options);
  ExpectAnswers(model, options, requests, expected, 100);
  options.max_sequences = 3;
  options.reuse_bytes = 1'000'000;
  ExpectAnswers(model, options, requests, expected, 5);
}

TEST_P(SameBitsTogether, PassesOfFewRows) {
  const std::vector<Request> requests = MixedRequests();
  for (const size_t chunk : {48, 7}) {
    SCOPED_TRACE(testing::Message() << "chunk " << chunk);
    const Model model = LoadSpeakingToy(GetParam(), kToyThreads, chunk);
    EngineOptions options;
    options.max_tokens = 720;
    options.max_sequences = chunk == 7 ? 1 : 40;
    options.reuse_bytes = chunk == 7 ? options.reuse_bytes : 0;
    const std::vector<Outcome> expected = AllAlone(model, requests, options);
    ExpectAnswers(model, options, requests, expected, 100);
  }
}

// More running answers than fit in a pass of few rows.
TEST_P(SameBitsTogether, ManyAnswersTogether) {
  const Model model = LoadSpeakingToy(GetParam(), 2, 64);
  EngineOptions options;
  options.max_tokens = 100;
  options.max_sequences = 70;
  std::vector<Request> requests;
  for (size_t i = 0; i < 35; ++i) {
    Request& request = requests.emplace_back();
    request.prompt = MakePrompt(1 + i % 40, i);
    request.options.max_new_tokens = 12;
    request.options.sampling.seed = i;
  }
  const std::vector<Outcome> expected = AllAlone(model, requests, options);
  ExpectAnswers(model, options, requests, expected, 1000);
}

// With a model that has its own vocabulary, which grammars need.
TEST(SameBitsWithGrammars, AnyBatchAnyReuse) {
  const auto digits = Grammar::FromRegex("( ?[0-9]{1,4}[a-z]?){3,}");
  ASSERT_TRUE(digits.ok()) << digits.status();
  const Grammar json = Grammar::AnyJson();
  std::vector<Request> requests = MixedRequests();
  for (size_t i = 0; i < requests.size(); ++i) {
    if (i % 5 != 4) requests[i].options.grammar = i % 2 == 0 ? &*digits : &json;
  }
  const Model model = LoadOrDie(GEMMA_TESTDATA_DIR "/gguf/gemma3_mixed.gguf",
                                {.num_threads = 2});
  EngineOptions options;
  options.max_tokens = 720;
  const std::vector<Outcome> expected = AllAlone(model, requests, options);
  ExpectAnswers(model, options, requests, expected, 100);
  options.max_sequences = 1;
  ExpectAnswers(model, options, requests, expected, 100);
}

}  // namespace
}  // namespace gemma::internal
