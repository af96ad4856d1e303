// Engines of embedding models.

#include <chrono>
#include <cstddef>
#include <fstream>
#include <latch>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/engines.h"
#include "tests/support/error_of.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

Model LoadEmbedder(size_t chunk = 64) {
  LoadOptions options;
  options.num_threads = kToyThreads;
  options.prefill_chunk = chunk;
  options.deterministic = true;
  return LoadOrDie(ToyPath("embedding_gemma"), options);
}

std::vector<std::string> TextsOfFile() {
  std::ifstream file(ToyPath("embedding_gemma") + "/texts.txt");
  std::vector<std::string> texts;
  for (std::string line; std::getline(file, line);) texts.push_back(line);
  return texts;
}

Request EmbedTexts(std::vector<std::string> texts) {
  Request request;
  request.texts = std::move(texts);
  return request;
}

// Holds an engine's thread until it is released.
class Gate {
 public:
  explicit Gate(Engine& engine) {
    Request request = EmbedTexts({"a"});
    request.options.cancelled = [this] {
      if (!std::exchange(asked_, true)) reached_.count_down();
      released_.wait();
      return true;
    };
    ticket_.emplace(Submit(engine, std::move(request)));
    reached_.wait();
  }
  void Open() { released_.count_down(); }

 private:
  bool asked_ = false;  // used by the engine's thread
  std::latch reached_{1};
  std::latch released_{1};
  std::optional<Ticket> ticket_;
};

TEST(EngineEmbeds, EqualToAnEmbedder) {
  const Model model = LoadEmbedder();
  const auto embedder = Embedder::Create(model);
  ASSERT_EQ(ErrorOf(embedder), "OK");
  const std::vector<std::string> texts = TextsOfFile();
  ASSERT_GT(texts.size(), 3u);
  std::vector<Request> requests;
  for (size_t i = 0; i < 6; ++i) {
    requests.push_back(EmbedTexts({texts.begin() + i % 3, texts.end()}));
    if (i == 1) requests[i].embed.normalize = false;
    if (i == 2) requests[i].embed.dimensions = 8;
    if (i == 3) requests[i].embed.prompt = "document";
    if (i == 3) requests[i].embed.title = texts[0];
  }
  Engine engine = MakeEngine(model, {.max_sequences = 4});
  std::vector<Ticket> tickets;
  for (const Request& request : requests) {
    tickets.push_back(Submit(engine, request));
  }
  size_t tokens = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    SCOPED_TRACE(i);
    const auto expected = embedder->Embed(requests[i].texts, requests[i].embed);
    ASSERT_EQ(ErrorOf(expected), "OK");
    const Completion completion = AnswerOf(tickets[i]);
    EXPECT_EQ(completion.embeddings.dimensions, expected->dimensions);
    EXPECT_EQ(completion.embeddings.values, expected->values);
    EXPECT_EQ(completion.embeddings.num_tokens, expected->num_tokens);
    EXPECT_EQ(completion.embeddings.truncated, expected->truncated);
    EXPECT_EQ(completion.stats.stop_reason, StopReason::kMaxTokens);
    EXPECT_TRUE(completion.times.started.has_value());
    size_t sum = 0;
    for (const size_t count : expected->num_tokens) sum += count;
    EXPECT_EQ(completion.stats.prompt_tokens, sum);
    tokens += sum;
  }
  const EngineSnapshot snapshot = engine.Snapshot();
  EXPECT_EQ(snapshot.computed_tokens, tokens);
  EXPECT_EQ(snapshot.ended_by(StopReason::kMaxTokens), 6u);
}

TEST(EngineEmbeds, ShareThePasses) {
  const Model model = LoadEmbedder(/*chunk=*/256);
  Engine engine = MakeEngine(model, {.max_sequences = 9});
  Gate gate(engine);
  std::vector<Ticket> tickets;
  for (size_t i = 0; i < 8; ++i) {
    tickets.push_back(Submit(engine, EmbedTexts({"a b", "c"})));
  }
  EXPECT_GT(engine.Snapshot().queued_tokens, 8u * 4);
  gate.Open();
  for (const Ticket& ticket : tickets) {
    EXPECT_EQ(AnswerOf(ticket).embeddings.num_tokens.size(), 2u);
  }
  // All 16 texts fit in one.
  EXPECT_EQ(engine.Snapshot().passes, 1u);
}

TEST(EngineEmbeds, RefusesOtherWork) {
  const Model model = LoadEmbedder();
  Engine engine = MakeEngine(model);
  const auto error = [&](const Request& request) {
    return ErrorOf(engine.Submit(request).status());
  };
  EXPECT_THAT(error(Ask({2, 3})), HasSubstr("a request has a prompt"));
  EXPECT_THAT(error(Request()), HasSubstr("no texts, wanted 1 or more"));
  Request request = EmbedTexts({"a"});
  request.choices = {{5}};
  EXPECT_THAT(error(request), HasSubstr("has choices or a tap"));
  request = EmbedTexts({"a"});
  request.embed.dimensions = 100000;
  EXPECT_THAT(error(request), HasSubstr("dimensions is 100000"));
  Engine other = MakeEngine(LoadSpeakingToy({"", "gemma3"}, 1, 64));
  EXPECT_THAT(ErrorOf(other.Submit(EmbedTexts({"a"})).status()),
              HasSubstr("has texts to embed"));
}

TEST(EngineEmbeds, EndEarly) {
  const Model model = LoadEmbedder(/*chunk=*/4);
  Engine engine = MakeEngine(model);
  Request request = EmbedTexts({"a b c d e", "f g h", "i"});
  std::vector<size_t> told;
  request.embed.progress = [&](size_t done) {
    told.push_back(done);
    return done < 2;
  };
  const Completion cancelled = AnswerOf(Submit(engine, request));
  EXPECT_EQ(cancelled.stats.stop_reason, StopReason::kCancelled);
  EXPECT_TRUE(cancelled.embeddings.values.empty());
  EXPECT_EQ(told, (std::vector<size_t>{1, 2}));
  request = EmbedTexts({"a"});
  request.options.deadline = std::chrono::steady_clock::now();
  EXPECT_EQ(AnswerOf(Submit(engine, request)).stats.stop_reason,
            StopReason::kDeadline);
  request = EmbedTexts({"a"});
  request.embed.progress = [](size_t) -> bool { throw 5; };
  EXPECT_TRUE(absl::IsInternal(Submit(engine, request).Wait().status()));
  const EngineSnapshot last = engine.Snapshot();
  EXPECT_EQ(last.interrupted_in_prompt, 1u);
  EXPECT_EQ(last.failed, 1u);
  EXPECT_EQ(last.running, 0u);
}

}  // namespace
}  // namespace gemma::internal
