// Allocations that fail while a model computes.

#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gemma/gemma.h"
#include "gtest/gtest.h"
#include "tests/classify/shield_toy.h"
#include "tests/fault/fault_toys.h"
#include "tests/fault/faults.h"
#include "tests/scope/toy_autoencoders.h"
#include "tests/support/input_rows.h"
#include "tests/support/requests.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

// The smallest models: one with ring caches, one with recurrent layers.
class PassFaults : public ::testing::TestWithParam<const char*> {
 protected:
  std::string path() const { return WriteFaultGguf(directory_, GetParam()); }
  const std::string directory_ = TestDirectory();
  Model model_ = LoadOrDie(path(), FaultOptions());
};

INSTANTIATE_TEST_SUITE_P(Architectures, PassFaults,
                         ::testing::Values("gemma3", "recurrentgemma"),
                         [](const auto& test) { return test.param; });

TEST_P(PassFaults, FirstSequence) {
  SweepMemory([&](Injector& faults) -> absl::Status {
    // A new model each time, because its first session allocates more than
    // later ones.
    const Model model =
        LoadOrDie(directory_ + "/" + GetParam() + ".gguf", FaultOptions());
    const auto session =
        faults([&] { return Session::Create(model, {.max_tokens = 16}); });
    return session.status();
  });
}

// A pass that fails leaves the session unchanged, and the next pass succeeds.
TEST_P(PassFaults, Passes) {
  const std::vector<float> expected = FaultLogits(model_);
  SweepMemory([&](Injector& faults) -> absl::Status {
    Session session =
        NewSession(model_, {.max_tokens = 16, .checkpoint_interval = 2});
    absl::Status first;
    for (const TokenId token : {17, 18, 19}) {
      first = faults([&] { return session.Append({token}); });
      if (!first.ok()) break;
    }
    if (first.ok()) first = faults([&] { return session.Rewind(0); });
    EXPECT_TRUE(session.Rewind(0).ok());
    std::vector<float> logits;
    absl::Span<float> computed;
    const absl::Status status = faults([&]() -> absl::Status {
      const auto forward = session.Forward(kFaultTokens);
      if (forward.ok()) computed = *forward;
      return forward.status();
    });
    logits.assign(computed.begin(), computed.end());
    EXPECT_EQ(session.position(), status.ok() ? kFaultTokens.size() : 0);
    if (!status.ok()) {
      const auto again = session.Forward(kFaultTokens);
      EXPECT_TRUE(again.ok()) << again.status();
      logits.assign(again->begin(), again->end());
    }
    EXPECT_EQ(logits, expected);
    return first.ok() ? status : first;
  });
}

TEST_P(PassFaults, Batches) {
  Session a = NewSession(model_, {.max_tokens = 8});
  Session b = NewSession(model_, {.max_tokens = 8});
  const size_t vocab_size = model_.config().vocab_size;
  std::vector<float> expected(2 * vocab_size);
  const std::vector<TokenId> tokens = {2, 17, 18};
  ASSERT_TRUE(Session::ForwardBatch({{&a, tokens}, {&b, tokens}},
                                    absl::MakeSpan(expected))
                  .ok());
  SweepMemory([&](Injector& faults) -> absl::Status {
    EXPECT_TRUE(a.Rewind(0).ok());
    EXPECT_TRUE(b.Rewind(0).ok());
    std::vector<float> logits(2 * vocab_size);
    const absl::Status status = faults([&] {
      return Session::ForwardBatch({{&a, tokens}, {&b, tokens}},
                                   absl::MakeSpan(logits));
    });
    if (status.ok()) {
      EXPECT_EQ(logits, expected);
    }
    EXPECT_EQ(a.position(), status.ok() ? 3u : 0u);
    EXPECT_EQ(b.position(), status.ok() ? 3u : 0u);
    return status;
  });
}

TEST_P(PassFaults, Forks) {
  Session session = NewSession(model_, {.max_tokens = 16});
  ASSERT_TRUE(session.Append({2, 17, 18}).ok());
  SweepMemory([&](Injector& faults) -> absl::Status {
    auto fork = faults([&] { return session.Fork(); });
    if (!fork.ok()) return fork.status();
    EXPECT_EQ(fork->tokens(), session.tokens());
    return absl::OkStatus();
  });
}

TEST_P(PassFaults, SavedSequences) {
  Session session = NewSession(model_, {.max_tokens = 16});
  ASSERT_TRUE(session.Append({2, 17, 18}).ok());
  const std::string path = directory_ + "/session";
  ASSERT_TRUE(session.Save(path).ok());
  const std::string saved = ContentsOf(path);
  SweepMemory([&](Injector& faults) -> absl::Status {
    const std::string target = directory_ + "/again";
    const absl::Status status = faults([&] { return session.Save(target); });
    if (status.ok()) {
      EXPECT_EQ(ContentsOf(target), saved);
    }
    std::remove(target.c_str());
    EXPECT_EQ(FileNames(directory_).size(), 2u);  // model and session
    return status;
  });
  SweepMemory([&](Injector& faults) -> absl::Status {
    auto restored = faults([&] { return Session::Restore(model_, path); });
    if (!restored.ok()) return restored.status();
    EXPECT_EQ(restored->tokens(), session.tokens());
    return absl::OkStatus();
  });
}

// Rows inside a sequence: position 4, a checkpoint, is between two of them.
Words WordsWithRows(const Model& model) {
  Words words({2, 17});
  words.Append(RandomRows(model, 6, RowMask::kCausal, /*seed=*/1));
  words.Append({18});
  return words;
}

TEST_P(PassFaults, SavedRows) {
  Session session = NewSession(model_, {.max_tokens = 16});
  ASSERT_TRUE(session.Append(WordsWithRows(model_)).ok());
  const std::string path = directory_ + "/session";
  ASSERT_TRUE(session.Save(path).ok());
  SweepMemory([&](Injector& faults) -> absl::Status {
    auto restored = faults([&] { return Session::Restore(model_, path); });
    if (!restored.ok()) return restored.status();
    EXPECT_EQ(restored->words(), session.words());
    return absl::OkStatus();
  });
}

TEST_P(PassFaults, PassesOfRows) {
  const Words words = WordsWithRows(model_);
  SweepMemory([&](Injector& faults) -> absl::Status {
    Session session = NewSession(model_, {.max_tokens = 16});
    const absl::Status status = faults([&] { return session.Append(words); });
    EXPECT_EQ(session.position(), status.ok() ? words.size() : 0);
    return status;
  });
}

// A rewind that fails changes nothing.
TEST_P(PassFaults, RewindAmongRows) {
  const Words words = WordsWithRows(model_);
  SweepMemory([&](Injector& faults) -> absl::Status {
    Session session = NewSession(
        model_,
        {.max_tokens = 16, .max_rollback = 0, .checkpoint_interval = 4});
    EXPECT_TRUE(session.Append(words).ok());
    const absl::Status status = faults([&] { return session.Rewind(7); });
    EXPECT_EQ(session.position(), status.ok() ? 7 : words.size());
    return status;
  });
}

// Calls Generate with faults. The text must be `expected`, or a beginning of it
// if Generate fails.
absl::Status SweepAnswer(Injector& faults, const Model& model,
                         const GenerateOptions& options,
                         const std::string& expected) {
  Session session = NewSession(model, {.max_tokens = 32});
  std::string text;
  text.reserve(1000);
  const auto stats = faults([&] {
    return Generate(session, kFaultTokens, options, [&](std::string_view part) {
      const Exempt ours;
      text += part;
      return true;
    });
  });
  if (!stats.ok()) {
    EXPECT_EQ(expected.substr(0, text.size()), text);
    return stats.status();
  }
  EXPECT_EQ(text, expected);
  return absl::OkStatus();
}

std::string AnswerOf(const Model& model, const GenerateOptions& options) {
  Session session = NewSession(model, {.max_tokens = 32});
  std::string text;
  const auto stats =
      Generate(session, kFaultTokens, options, [&](std::string_view part) {
        text += part;
        return true;
      });
  EXPECT_TRUE(stats.ok()) << stats.status();
  return text;
}

GenerateOptions Sampled() {
  GenerateOptions options;
  options.max_new_tokens = 6;
  options.sampling.temperature = 1.0f;
  options.sampling.top_k = 20;
  options.sampling.repetition_penalty = 1.1f;
  options.stop_strings = {"no such text"};
  return options;
}

TEST_P(PassFaults, Answers) {
  const std::string expected = AnswerOf(model_, Sampled());
  SweepMemory([&](Injector& faults) {
    return SweepAnswer(faults, model_, Sampled(), expected);
  });
}

TEST_P(PassFaults, ScoredAnswers) {
  GenerateOptions options = Sampled();
  options.num_alternatives = 2;
  options.score_prompt = true;
  options.on_token = [](const ScoredToken&) {};
  const std::string expected = AnswerOf(model_, options);
  SweepMemory([&](Injector& faults) {
    return SweepAnswer(faults, model_, options, expected);
  });
}

TEST_P(PassFaults, AnswersOfGrammars) {
  const auto regex = Grammar::FromRegex("(ab|cd)+[0-9]{2,4}");
  const Grammar json = Grammar::AnyJson();
  for (const Grammar* grammar : {&*regex, &json}) {
    GenerateOptions options = Sampled();
    options.grammar = grammar;
    const std::string expected = AnswerOf(model_, options);
    SweepMemory([&](Injector& faults) {
      return SweepAnswer(faults, model_, options, expected);
    });
  }
}

// Four requests. Each must end, with its answer or an error.
TEST_P(PassFaults, Requests) {
  const EngineOptions options = {.max_tokens = 32, .max_sequences = 3};
  std::vector<Request> requests;
  for (size_t i = 0; i < 4; ++i) {
    requests.push_back(Ask({2, 104, static_cast<TokenId>(105 + i / 2), 7}));
    requests.back().client = i == 0 ? "a" : "b";
  }
  std::vector<Outcome> expected;
  for (const Request& request : requests) {
    expected.push_back(Alone(model_, request, options));
  }
  SweepMemory([&](Injector& faults) -> absl::Status {
    std::vector<Request> asked = requests;
    std::vector<absl::StatusOr<Ticket>> tickets;
    tickets.reserve(4);
    auto engine = faults([&] { return Engine::Create(model_, options); });
    if (!engine.ok()) return engine.status();
    absl::Status status;
    faults([&] {
      for (Request& request : asked) {
        tickets.push_back(engine->Submit(std::move(request)));
      }
      for (absl::StatusOr<Ticket>& ticket : tickets) {
        if (ticket.ok()) ticket->Wait();
      }
    });
    for (size_t i = 0; i < tickets.size(); ++i) {
      if (!tickets[i].ok()) {
        status.Update(tickets[i].status());
      } else if (!tickets[i]->Wait().ok()) {
        status.Update(tickets[i]->Wait().status());
      } else {
        Outcome outcome;
        Collect(*tickets[i], &outcome);
        EXPECT_EQ(outcome, expected[i]);
      }
    }
    return status;
  });
}

TEST(TaskFaults, Embeddings) {
  const Model model =
      LoadOrDie(std::string(GEMMA_TESTDATA_DIR) + "/gguf/gemma_embedding.gguf",
                FaultOptions());
  const std::vector<std::string> texts = {"the cat", "", "hello"};
  const auto expected = Embedder::Create(model)->Embed(texts);
  SweepMemory([&](Injector& faults) -> absl::Status {
    const auto embeddings = faults([&]() -> absl::StatusOr<Embeddings> {
      const auto embedder = Embedder::Create(model);
      if (!embedder.ok()) return embedder.status();
      return embedder->Embed(texts);
    });
    if (!embeddings.ok()) return embeddings.status();
    EXPECT_EQ(embeddings->values, expected->values);
    return absl::OkStatus();
  });
}

TEST(TaskFaults, Classifications) {
  const Model model = LoadOrDie(ShieldFile("shield.gguf"), FaultOptions());
  const ClassifierInput input = {"hello", std::nullopt};
  const absl::Span<const Policy> policies =
      absl::MakeSpan(ShieldPolicies()).first(2);
  const auto expected = Classifier::Create(model)->Classify(input, policies);
  ASSERT_TRUE(expected.ok()) << expected.status();
  SweepMemory([&](Injector& faults) -> absl::Status {
    const auto found = faults([&]() -> absl::StatusOr<std::vector<double>> {
      auto classifier = Classifier::Create(model);
      if (!classifier.ok()) return classifier.status();
      return classifier->Classify(input, policies);
    });
    if (!found.ok()) return found.status();
    EXPECT_EQ(*found, *expected);
    return absl::OkStatus();
  });
}

// A session reports all of its features, or returns an error.
TEST(TaskFaults, Features) {
  const Model model = LoadOrDie(ToyPath("gemma2_odd"), FaultOptions());
  const SparseAutoencoder autoencoder =
      LoadToyAutoencoder(AllToySites()[0].file);
  const std::vector<TokenId> tokens = {2, 17, 4};
  size_t expected = 0;
  size_t rows = 0;
  FeatureTapOptions options;
  options.readers = {{&autoencoder}, {&autoencoder, 2, {1, 3, 5}}};
  options.changes = {{&autoencoder, 3, 1.0f, /*ablate=*/true}};
  options.on_features = [&](const TokenFeatures& features) {
    rows += 1 + features.features.size();
  };
  {
    Session session = NewSession(model, {.max_tokens = 8});
    Attach(options, session);
    ASSERT_TRUE(session.Append(tokens).ok());
    expected = std::exchange(rows, 0);
    ASSERT_GT(expected, 6u);
  }
  SweepMemory([&](Injector& faults) -> absl::Status {
    rows = 0;
    Session session = NewSession(model, {.max_tokens = 8});
    FeatureTapOptions copy = options;
    absl::StatusOr<TapFunction> tap = nullptr;
    absl::Status status = faults([&] {
      tap = FeatureTap(model, std::move(copy));
      return tap.status();
    });
    if (status.ok()) {
      session.SetTap(*std::move(tap));  // returns no status, and may throw
      status = faults([&] { return session.Append(tokens); });
    }
    if (status.ok()) {
      EXPECT_EQ(rows, expected);
    }
    return status;
  });
}

TEST(TaskFaults, Scores) {
  const Model model =
      LoadOrDie(WriteFaultGguf(TestDirectory(), "gemma3"), FaultOptions());
  const std::vector<std::vector<TokenId>> choices = {{260}, {261, 7}, {124}};
  SweepMemory([&](Injector& faults) -> absl::Status {
    Session session = NewSession(model, {.max_tokens = 32});
    const auto scores =
        faults([&] { return Score(session, kFaultTokens, choices); });
    if (!scores.ok()) return scores.status();
    EXPECT_EQ(scores->size(), 3u);
    return absl::OkStatus();
  });
}

}  // namespace
}  // namespace gemma::internal
