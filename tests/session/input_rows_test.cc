// Sequences in which rows given as vectors take the place of tokens.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "src/generate/ngram_drafter.h"
#include "src/session/session_impl.h"
#include "tests/support/error_of.h"
#include "tests/support/input_rows.h"
#include "tests/support/near.h"
#include "tests/support/requests.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using Tokens = std::vector<TokenId>;

constexpr RowMask kBidirectional = RowMask::kBidirectional;

std::vector<float> Tail(const std::vector<float>& all, size_t size) {
  return {all.end() - static_cast<std::ptrdiff_t>(size), all.end()};
}

// A prompt whose tokens [5, 52) become rows. In a model with a table of
// per-layer embeddings, rows use its row 0, so these tokens are 0.
Tokens PromptOf(const Model& model) {
  Tokens tokens = MakePrompt(70, 1);
  if (model.config().per_layer_vocab != 0) {
    std::fill(tokens.begin() + 5, tokens.begin() + 52, 0);
  }
  return tokens;
}

class InputRowsOf : public ::testing::TestWithParam<Toy> {};

INSTANTIATE_TEST_SUITE_P(Toys, InputRowsOf,
                         ::testing::ValuesIn(AllSpeakingToys()),
                         [](const auto& toy) { return toy.param.name; });

// In every arithmetic of this CPU; passes of many rows may have different bits.
TEST_P(InputRowsOf, EmbeddingsGiveTokensBits) {
  struct Arithmetic {
    WeightType weights;
    Activations activations;
    bool deterministic;
  };
  for (const Arithmetic& a :
       {Arithmetic{WeightType::kKeep, Activations::kFloat32, false},
        Arithmetic{WeightType::kQ8, Activations::kRounded, true},
        Arithmetic{WeightType::kQ8, Activations::kRounded, false},
        Arithmetic{WeightType::kBF16, Activations::kRounded, false}}) {
    for (const size_t chunk : {7, 40}) {
      SCOPED_TRACE(testing::Message()
                   << WeightTypeName(a.weights) << ", deterministic "
                   << a.deterministic << ", chunk " << chunk);
      LoadOptions options;
      options.num_threads = kToyThreads;
      options.prefill_chunk = chunk;
      options.recurrent_window = GetParam().window;
      options.quantize = a.weights;
      options.activations = a.activations;
      options.deterministic = a.deterministic;
      const Model model = LoadOrDie(ToyPath(GetParam().folder), options);
      const Tokens tokens = PromptOf(model);
      const Words words = WithEmbeddings(model, tokens, 5, 52);
      Session with_tokens = NewSession(model);
      Session with_rows = NewSession(model);
      EXPECT_EQ(AllLogits(with_rows, words), AllLogits(with_tokens, tokens));
      EXPECT_EQ(with_rows.words(), words);
      EXPECT_EQ(with_rows.tokens()[5], kRowToken);
      for (const TokenId next : {9, 8}) {
        EXPECT_EQ(*with_rows.Forward({next}), *with_tokens.Forward({next}));
      }
    }
  }
}

// Rewinds and continues both sessions, one with rows and one with tokens; the
// results must be equal.
void ExpectSameFuture(Session& with_rows, Session& with_tokens,
                      const Tokens& tokens, const Words& words) {
  for (const size_t to : {64, 52, 50, 31, 6, 5, 3, 0}) {
    SCOPED_TRACE(to);
    ASSERT_TRUE(with_rows.Rewind(to).ok());
    ASSERT_TRUE(with_tokens.Rewind(to).ok());
    EXPECT_EQ(CommonPrefix(with_rows.words(), words), to);
    EXPECT_EQ(AllLogits(with_rows, WordsFrom(words, to)),
              AllLogits(with_tokens, {tokens.begin() + to, tokens.end()}));
  }
}

TEST_P(InputRowsOf, RewindLikeTokens) {
  const Model model = LoadToy(GetParam(), kToyThreads, 8);
  const Tokens tokens = PromptOf(model);
  const Words words = WithEmbeddings(model, tokens, 5, 52);
  for (const size_t interval : {0, 13}) {
    SCOPED_TRACE(interval);
    const SessionOptions options = {.max_rollback = 3,
                                    .checkpoint_interval = interval};
    Session with_tokens = NewSession(model, options);
    Session with_rows = NewSession(model, options);
    ASSERT_TRUE(with_tokens.Append(tokens).ok());
    ASSERT_TRUE(with_rows.Append(words).ok());
    auto fork = with_rows.Fork();
    ASSERT_TRUE(fork.ok()) << fork.status();
    ExpectSameFuture(with_rows, with_tokens, tokens, words);
    // The fork has its own rows.
    ASSERT_TRUE(with_rows.Rewind(0).ok());
    with_rows = NewSession(model);
    ExpectSameFuture(*fork, with_tokens, tokens, words);
  }
}

TEST_P(InputRowsOf, SavedSessionsKeepRows) {
  const Model model = LoadToy(GetParam(), kToyThreads, 8);
  const Tokens tokens = PromptOf(model);
  const Words words = WithEmbeddings(model, tokens, 5, 52);
  Session with_tokens = NewSession(model);
  Session with_rows = NewSession(model);
  ASSERT_TRUE(with_tokens.Append(tokens).ok());
  ASSERT_TRUE(with_rows.Append(words).ok());
  const std::string path = TestDirectory() + "/session";
  ASSERT_EQ(ErrorOf(with_rows.Save(path)), "OK");
  auto restored = Session::Restore(model, path);
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->words(), words);
  ExpectSameFuture(*restored, with_tokens, tokens, words);
}

TEST_P(InputRowsOf, SessionsTogetherWithTokens) {
  const Model model = LoadToy(GetParam(), kToyThreads, /*chunk=*/8);
  const size_t vocab_size = model.config().vocab_size;
  const Tokens tokens = MakePrompt(30, 1);
  const Words words = WithEmbeddings(model, tokens, 3, 20);
  const Words seen = WithEmbeddings(model, tokens, 6, 12, kBidirectional);
  std::vector<Session> sessions;
  for (size_t i = 0; i < 4; ++i) sessions.push_back(NewSession(model));
  std::vector<float> expected;
  for (const Words* w : {&words, &seen}) {
    Session alone = NewSession(model);
    const auto last = alone.Forward(*w);
    ASSERT_TRUE(last.ok()) << last.status();
    expected.insert(expected.end(), last->begin(), last->end());
    const std::vector<float> all = AllLogits(model, tokens);
    expected.insert(expected.end(), all.end() - vocab_size, all.end());
  }
  std::vector<float> actual(expected.size());
  const std::vector<Session::Continuation> batch = {{&sessions[0], {}, &words},
                                                    {&sessions[1], tokens},
                                                    {&sessions[2], {}, &seen},
                                                    {&sessions[3], tokens}};
  ASSERT_TRUE(Session::ForwardBatch(batch, absl::MakeSpan(actual)).ok());
  EXPECT_EQ(actual, expected);
  EXPECT_EQ(sessions[2].words(), seen);
}

// ---------------------------------------------------------------------------
// Rows that see each other

// Written by tools/reference/input_rows.py.
struct RowReference {
  Words words;
  std::vector<float> logits;
};

RowReference ReadRows(const Model& model, const std::string& folder,
                      bool all_causal = false) {
  const std::string path = ToyPath(folder) + "/rows.npz";
  const Tokens ids = ReadTokens(path, "ids");
  const Tokens ranges = ReadTokens(path, "ranges");
  const std::vector<float> values = ReadFloats(path, "values");
  const size_t model_dim = model.config().model_dim;
  RowReference reference;
  size_t at = 0;
  for (size_t i = 0; i < ranges.size(); i += 3) {
    const auto begin = static_cast<size_t>(ranges[i]);
    const auto end = static_cast<size_t>(ranges[i + 1]);
    const bool causal = all_causal || ranges[i + 2] == 0;
    const size_t size = (end - begin) * model_dim;
    const size_t done = reference.words.size();
    reference.words.Append(
        absl::MakeConstSpan(ids).subspan(done, begin - done));
    reference.words.Append(*InputRows::Create(
        {values.begin() + at, values.begin() + at + size}, model_dim,
        causal ? RowMask::kCausal : kBidirectional));
    at += size;
  }
  reference.words.Append(
      absl::MakeConstSpan(ids).subspan(reference.words.size()));
  reference.logits = ReadFloats(path, "out");
  return reference;
}

class BidirectionalRows : public ::testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Toys, BidirectionalRows,
                         ::testing::Values("gemma", "gemma2", "gemma3"),
                         [](const auto& toy) { return toy.param; });

constexpr double kTolerance = 1e-4;  // as in Golden
constexpr size_t kLongest = 21;      // rows of an InputRows of the reference

TEST_P(BidirectionalRows, EqualDoublePrecision) {
  const Model model = LoadToy({"", GetParam()});
  const RowReference reference = ReadRows(model, GetParam());
  Session session = NewSession(model);
  EXPECT_LE(
      RelativeError(AllLogits(session, reference.words), reference.logits),
      kTolerance);
  // The result must depend on whether rows see each other.
  Session causal = NewSession(model);
  EXPECT_GE(
      RelativeError(AllLogits(causal, ReadRows(model, GetParam(), true).words),
                    reference.logits),
      100 * kTolerance);
}

TEST_P(BidirectionalRows, SameBitsAnyPasses) {
  const Model whole = LoadToy({"", GetParam()});
  const RowReference reference = ReadRows(whole, GetParam());
  Session session = NewSession(whole);
  const std::vector<float> expected = AllLogits(session, reference.words);
  for (const size_t threads : {1, 3}) {
    for (const size_t chunk : {kLongest, kLongest + 1, size_t{30}}) {
      for (const size_t interval : {0, 1, 5, 24}) {
        const Model model = LoadToy({"", GetParam()}, threads, chunk);
        Session cut = NewSession(model, {.checkpoint_interval = interval});
        EXPECT_EQ(AllLogits(cut, reference.words), expected)
            << chunk << " rows, checkpoints every " << interval;
      }
    }
  }
}

TEST_P(BidirectionalRows, RewindOnlyToEnds) {
  const Model model = LoadToy({"", GetParam()}, kToyThreads, 24);
  const size_t vocab_size = model.config().vocab_size;
  const Words words = ReadRows(model, GetParam()).words;
  Session first = NewSession(model);
  const std::vector<float> expected = AllLogits(first, words);
  for (const size_t interval : {0, 7}) {
    for (size_t to = 0; to <= words.size(); ++to) {
      SCOPED_TRACE(testing::Message() << to << " interval " << interval);
      Session session = NewSession(
          model, {.max_rollback = 2, .checkpoint_interval = interval});
      ASSERT_TRUE(session.Append(words).ok());
      if (words.Whole(to) == to) {
        ASSERT_TRUE(session.Rewind(to).ok());
      } else {
        EXPECT_EQ(ErrorOf(session.Rewind(to)),
                  "cannot rewind to " + std::to_string(to) +
                      ", within bidirectional rows that begin at " +
                      std::to_string(words.Whole(to)));
        EXPECT_EQ(session.position(), words.size());
        ASSERT_TRUE(session.Rewind(words.Whole(to)).ok());
      }
      if (session.position() == words.size()) continue;
      const Words rest = WordsFrom(words, session.position());
      EXPECT_EQ(AllLogits(session, rest),
                Tail(expected, rest.size() * vocab_size));
    }
  }
}

TEST_P(BidirectionalRows, MustFitOnePass) {
  const Model model = LoadToy({"", GetParam()}, kToyThreads, kLongest - 1);
  const Words words = ReadRows(model, GetParam()).words;
  Session session = NewSession(model);
  const auto longest = std::find_if(
      words.rows().begin(), words.rows().end(), [](const PlacedRows& placed) {
        return placed.rows.mask() == kBidirectional &&
               placed.rows.size() == kLongest;
      });
  ASSERT_NE(longest, words.rows().end());
  const std::string error =
      "word " + std::to_string(longest->begin) +
      " of the input begins 21 bidirectional rows, wanted at most 20 "
      "(LoadOptions::prefill_chunk)";
  EXPECT_EQ(ErrorOf(session.Append(words)), error);
  EXPECT_EQ(ErrorOf(session.Forward(words)), error);
  EXPECT_EQ(session.position(), 0u);
}

// ---------------------------------------------------------------------------
// Prompts

// 40 tokens, rows, and `tail` more tokens.
Words ImagePrompt(const InputRows& rows, size_t tail, uint64_t seed) {
  Words words(MakePrompt(40, 1));
  words.Append(rows);
  words.Append(absl::MakeConstSpan(MakePrompt(50, seed)).first(tail));
  return words;
}

Request AskAbout(Words words) {
  Request request = Ask({}, 6);
  request.words = std::move(words);
  return request;
}

class RowPrompts : public ::testing::TestWithParam<Toy> {};

INSTANTIATE_TEST_SUITE_P(Toys, RowPrompts,
                         ::testing::ValuesIn(AllSpeakingToys()),
                         [](const auto& toy) { return toy.param.name; });

// Requests of all kinds, alone and together, with any reuse.
TEST_P(RowPrompts, EngineAnswersAsGenerate) {
  for (const size_t chunk : {256, 40}) {
    SCOPED_TRACE(chunk);
    const Model model = LoadSpeakingToy(GetParam(), kToyThreads, chunk);
    std::vector<Request> requests;
    for (const RowMask mask : {RowMask::kCausal, kBidirectional}) {
      for (const size_t seed : {1, 2}) {
        const InputRows rows = RandomRows(model, 38, mask, seed);
        for (const size_t tail : {0, 1, 50}) {
          requests.push_back(AskAbout(ImagePrompt(rows, tail, 3)));
        }
        Request& last = requests.back();
        last.options.on_token = [](const ScoredToken&) {};
        last.options.score_prompt = true;
        Words two = ImagePrompt(rows, 20, 4);
        two.Append(rows);
        requests.push_back(AskAbout(two));
        requests.back().options.sampling.repetition_penalty = 1.3f;
      }
    }
    requests.push_back(Ask(MakePrompt(60, 1), 6));
    EngineOptions options;
    options.max_tokens = 400;
    std::vector<Outcome> expected;
    for (const Request& request : requests) {
      expected.push_back(Alone(model, request, options));
      ASSERT_EQ(expected.back().error, "");
    }
    for (const size_t max_sequences : {1, 20}) {
      options.max_sequences = max_sequences;
      auto engine = Engine::Create(model, options);
      ASSERT_TRUE(engine.ok()) << engine.status();
      std::vector<Outcome> actual(2 * requests.size());
      std::vector<Ticket> tickets;
      for (size_t i = 0; i < actual.size(); ++i) {
        auto ticket =
            engine->Submit(Scored(requests[i % requests.size()], &actual[i]));
        ASSERT_TRUE(ticket.ok()) << ticket.status();
        tickets.push_back(*std::move(ticket));
      }
      for (size_t i = 0; i < actual.size(); ++i) {
        Collect(tickets[i], &actual[i]);
        EXPECT_EQ(actual[i], expected[i % requests.size()]) << i;
      }
    }
  }
}

// How many words of the prompt were not computed again.
size_t Reused(Engine& engine, const Words& words) {
  auto ticket = engine.Submit(AskAbout(words));
  EXPECT_TRUE(ticket.ok()) << ticket.status();
  const auto& completion = ticket->Wait();
  EXPECT_TRUE(completion.ok()) << completion.status();
  return completion->stats.reused_tokens;
}

// Attention without windows goes back to any position.
TEST(RowPrompts, EqualRowsShareCaches) {
  const Model model = LoadSpeakingToy({"", "gemma"}, 2, 256);
  for (const RowMask mask : {RowMask::kCausal, kBidirectional}) {
    const InputRows rows = RandomRows(model, 38, mask, 1);
    // The same rows, except for the last value of the last row.
    std::vector<float> values(rows.values().begin(), rows.values().end());
    values.back() += 1.0f;
    const InputRows other = *InputRows::Create(values, rows.model_dim(), mask);
    auto engine = Engine::Create(model, {.max_tokens = 400});
    ASSERT_TRUE(engine.ok()) << engine.status();
    EXPECT_EQ(Reused(*engine, ImagePrompt(rows, 50, 3)), 0u);
    EXPECT_EQ(Reused(*engine, ImagePrompt(rows, 50, 3)), 127u);
    // The two tails have the same first token.
    EXPECT_EQ(Reused(*engine, ImagePrompt(rows, 50, 4)), 79u);
    // The last word is always computed, together with the rows that see it.
    EXPECT_EQ(Reused(*engine, ImagePrompt(rows, 0, 0)),
              mask == kBidirectional ? 40u : 77u);
    EXPECT_EQ(Reused(*engine, ImagePrompt(other, 50, 3)),
              mask == kBidirectional ? 40u : 77u);
    // Rows with a different mask, and tokens, are different words.
    const InputRows masked = *InputRows::Create(
        {rows.values().begin(), rows.values().end()}, rows.model_dim(),
        mask == kBidirectional ? RowMask::kCausal : kBidirectional);
    EXPECT_EQ(Reused(*engine, ImagePrompt(masked, 50, 3)), 40u);
  }
}

TEST(RowPrompts, RowsAreNotTokens) {
  const Model model = LoadSpeakingToy({"", "gemma3"}, 2, 64);
  const Words words =
      ImagePrompt(RandomRows(model, 10, kBidirectional, 1), 8, 3);
  Tokens without = MakePrompt(40, 1);
  const Tokens tail = MakePrompt(8, 3);
  without.insert(without.end(), tail.begin(), tail.end());

  // Each token of the prompt is scored; rows are not.
  GenerateOptions options;
  options.max_new_tokens = 12;
  options.sampling.temperature = 0.0f;
  options.sampling.repetition_penalty = 1.5f;
  options.score_prompt = true;
  Tokens scored;
  options.on_token = [&](const ScoredToken& token) {
    scored.push_back(token.token);
  };
  Session session = NewSession(model);
  const auto stats =
      Generate(session, words, options, [](std::string_view) { return true; });
  ASSERT_TRUE(stats.ok()) << stats.status();
  const Tokens answer(session.tokens().begin() + words.size(),
                      session.tokens().end());
  Tokens expected = without;
  expected.insert(expected.end(), answer.begin(), answer.end());
  EXPECT_EQ(scored, expected);

  // Penalties depend only on the tokens.
  Session again = NewSession(model);
  Sampler sampler(options.sampling);
  sampler.Accept(without);
  absl::StatusOr<absl::Span<float>> logits = again.Forward(words);
  for (const TokenId token : answer) {
    ASSERT_TRUE(logits.ok()) << logits.status();
    EXPECT_EQ(sampler.Sample(*logits), token);
    sampler.Accept({token});
    logits = again.Forward({token});
  }
}

TEST(RowPrompts, NoRowIsDrafted) {
  const Model model = LoadSpeakingToy({"", "gemma3"}, 2, 64);
  Session session = NewSession(model);
  // Returns a draft for 20 tokens, then `between`, then the same 20 tokens.
  const auto draft = [&](const Tokens& between) {
    NgramDrafter drafter(session, {});
    // The second pass is measured, so drafting starts.
    for (size_t i = 0; i < 2; ++i) drafter.PassTook(1, 1.0);
    const Tokens same = MakePrompt(20, 1);
    Tokens tokens = same;
    tokens.insert(tokens.end(), between.begin(), between.end());
    tokens.insert(tokens.end(), same.begin(), same.end());
    drafter.Begin(tokens);
    const auto drafted = drafter.Draft(2);
    return Tokens(drafted.begin(), drafted.end());
  };
  EXPECT_EQ(draft({20, 9, 10}), (Tokens{20, 9}));
  EXPECT_EQ(draft({20, kRowToken, 10}), Tokens{20});
  EXPECT_EQ(draft({kRowToken, 9, 10}), Tokens());
  // Rows do not match rows.
  NgramDrafter drafter(session, {});
  for (size_t i = 0; i < 2; ++i) drafter.PassTook(1, 1.0);
  Tokens rows(20, kRowToken);
  rows.push_back(9);
  rows.insert(rows.end(), 19, kRowToken);
  drafter.Begin(rows);
  EXPECT_TRUE(drafter.Draft(2).empty());
}

TEST(RowPrompts, ScoreTakesThem) {
  const Model model = LoadToy({"", "gemma3"});
  const Tokens tokens = MakePrompt(30, 1);
  const std::vector<Tokens> choices = {{5, 6, 7}, {8}};
  Session with_tokens = NewSession(model);
  Session with_rows = NewSession(model);
  const auto expected = Score(with_tokens, tokens, choices);
  const auto actual =
      Score(with_rows, WithEmbeddings(model, tokens, 4, 20), choices);
  ASSERT_TRUE(expected.ok() && actual.ok());
  for (size_t i = 0; i < choices.size(); ++i) {
    EXPECT_EQ((*actual)[i].token_log_probabilities,
              (*expected)[i].token_log_probabilities);
  }
}

TEST(RowPrompts, BadOnesAreRefused) {
  const Model model = LoadSpeakingToy({"", "gemma3"}, 2, 32);
  auto engine = Engine::Create(model, {.max_tokens = 100});
  ASSERT_TRUE(engine.ok());
  const auto error = [&](Request request) {
    return ErrorOf(engine->Submit(std::move(request)));
  };
  Request both = AskAbout(Words(MakePrompt(3, 1)));
  both.prompt = {2};
  EXPECT_EQ(error(both),
            "a request has a prompt and words, wanted one of them");
  Words words;
  words.Append(RandomRows(model, 33, kBidirectional, 1));
  const std::string too_many =
      "word 0 of the prompt begins 33 bidirectional rows, wanted at most 32 "
      "(LoadOptions::prefill_chunk)";
  EXPECT_EQ(error(AskAbout(words)), too_many);
  Session session = NewSession(model);
  EXPECT_EQ(ErrorOf(Generate(session, words, {}, nullptr)), too_many);
  Words narrow;
  narrow.Append(*InputRows::Create({1, 2}, 2));
  const std::string wrong =
      " is a row of 2 values, wanted model_dim, which is 64";
  EXPECT_EQ(error(AskAbout(narrow)), "word 0 of the prompt" + wrong);
  EXPECT_EQ(ErrorOf(session.Append(narrow)), "word 0 of the input" + wrong);
  std::vector<float> room(model.config().vocab_size);
  const Tokens one = {2};
  const Session::Continuation twice = {&session, one, &words};
  EXPECT_EQ(ErrorOf(Session::ForwardBatch({&twice, 1}, absl::MakeSpan(room))),
            "a continuation has tokens and words, wanted one of them");
  EXPECT_EQ(session.position(), 0u);
}

}  // namespace
}  // namespace gemma::internal
