// Drafts, good or bad, change neither an answer nor the session's content after
// it.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "src/generate/generate.h"
#include "src/generate/ngram_drafter.h"
#include "src/generate/speculator.h"
#include "tests/support/error_of.h"
#include "tests/support/hostile_model.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using Tokens = std::vector<TokenId>;

// Appends `token` to the session and returns the logits after it.
std::vector<float> LogitsAfter(Session& session, TokenId token) {
  const auto logits = session.Forward({&token, 1});
  EXPECT_EQ(ErrorOf(logits.status()), "OK");
  return {logits->begin(), logits->end()};
}

// Makes drafts of random length in which some tokens are wrong.
class FaultyDrafter : public Drafter {
 public:
  // `truth`: the sequence to come, as far as it is known.
  FaultyDrafter(Tokens truth, TokenId vocab_size, double faults, uint64_t seed)
      : truth_(std::move(truth)),
        vocab_size_(vocab_size),
        faults_(faults),
        random_(seed) {}

  void Begin(absl::Span<const TokenId> tokens) override {
    position_ = tokens.size();
  }
  void Append(TokenId) override { ++position_; }
  absl::Span<const TokenId> Draft(size_t most) override {
    draft_.clear();
    const size_t length = random_() % (most + 1);
    for (size_t at = position_; draft_.size() < length; ++at) {
      const bool right =
          at < truth_.size() && !std::bernoulli_distribution(faults_)(random_);
      draft_.push_back(right ? truth_[at]
                             : static_cast<TokenId>(random_() % vocab_size_));
    }
    longest = std::max(longest, length);
    return draft_;
  }
  void PassTook(size_t rows, double) override {
    ++passes;
    EXPECT_EQ(rows, draft_.size() + 1);
  }

  size_t passes = 0;
  size_t longest = 0;

 private:
  Tokens truth_;
  TokenId vocab_size_;
  double faults_;
  std::mt19937_64 random_;
  size_t position_ = 0;
  Tokens draft_;
};

// As NgramDrafter, but believes that checking a draft costs nearly nothing.
class EagerDrafter : public NgramDrafter {
 public:
  explicit EagerDrafter(Session& session)
      : NgramDrafter(session, session.model().config().stop_tokens) {}
  void PassTook(size_t rows, double) override {
    ++passes;
    NgramDrafter::PassTook(rows, 1 + 0.01 * static_cast<double>(rows));
  }
  size_t passes = 0;
};

// ---------------------------------------------------------------------------
// Speculator, on every architecture

constexpr size_t kAnswer = 40;

Tokens Prompt() {
  Tokens prompt = {2};
  for (TokenId i = 0; i < 19; ++i) prompt.push_back(3 + i * 37 % 250);
  return prompt;
}

// Chooses kAnswer tokens and appends them.
void Choose(Session& session, Drafter* drafter,
            const SamplingOptions& sampling) {
  const auto prompted = session.Forward(Prompt());
  ASSERT_TRUE(prompted.ok());
  if (drafter != nullptr) drafter->Begin(session.tokens());
  Speculator speculator(session, drafter);
  Sampler sampler(sampling);
  sampler.Accept(session.tokens());
  absl::Span<float> logits = *prompted;
  for (size_t i = 0; i < kAnswer; ++i) {
    const TokenId token = sampler.Sample(logits);
    sampler.Accept({&token, 1});
    const auto next = speculator.Append(token, kAnswer - 1 - i, {});
    ASSERT_TRUE(next.ok()) << next.status();
    logits = *next;
  }
  EXPECT_LE(speculator.num_accepted(), speculator.num_drafted());
}

class Speculate : public ::testing::TestWithParam<Toy> {};

INSTANTIATE_TEST_SUITE_P(Toys, Speculate, ::testing::ValuesIn(AllToys()),
                         [](const auto& toy) { return toy.param.name; });

TEST_P(Speculate, SameTokensAndState) {
  const Model model = LoadToy(GetParam(), kToyThreads, 24);
  const auto vocab_size = static_cast<TokenId>(model.config().vocab_size);
  size_t passes = 0, answers = 0;
  for (uint64_t seed = 0; seed < 6; ++seed) {
    for (const float temperature : {0.0f, 0.7f, 2.0f}) {
      const SamplingOptions sampling = {.temperature = temperature,
                                        .top_k = seed % 2 == 0 ? 0u : 20u,
                                        .top_p = seed % 3 == 0 ? 1.0f : 0.9f,
                                        .typical_p = seed > 3 ? 0.9f : 1.0f,
                                        .presence_penalty = seed % 2 * 0.5f,
                                        .penalty_window = 10,
                                        .seed = seed};
      Session plain = NewSession(model, {.max_tokens = 64});
      Choose(plain, nullptr, sampling);
      const Tokens expected = TokensOf(plain);
      ASSERT_EQ(expected.size(), Prompt().size() + kAnswer);
      const std::vector<float> logits = LogitsAfter(plain, 7);
      for (const double faults : {0.0, 0.1, 0.5, 1.0}) {
        FaultyDrafter drafter(expected, vocab_size, faults, seed);
        Session session = NewSession(model, {.max_tokens = 64});
        Choose(session, &drafter, sampling);
        ASSERT_EQ(TokensOf(session), expected);
        ASSERT_EQ(LogitsAfter(session, 7), logits);
        if (faults == 0.0) passes += drafter.passes, ++answers;
        // Go back farther than is free, and on again.
        ASSERT_TRUE(session.Rewind(expected.size() - 18).ok());
        ASSERT_TRUE(session.Forward(absl::MakeSpan(expected).last(18)).ok());
        ASSERT_EQ(LogitsAfter(session, 7), logits);
      }
      Session session = NewSession(model, {.max_tokens = 64});
      EagerDrafter drafter(session);
      Choose(session, &drafter, sampling);
      ASSERT_EQ(TokensOf(session), expected);
      ASSERT_EQ(LogitsAfter(session, 7), logits);
    }
  }
  EXPECT_LE(passes, answers * kAnswer / 2);
}

TEST_P(Speculate, DraftsWithinFreeRollback) {
  const Model model = LoadToy(GetParam(), 1);
  const auto vocab_size = static_cast<TokenId>(model.config().vocab_size);
  Session plain = NewSession(model);
  Choose(plain, nullptr, {.temperature = 0.0f});
  const Tokens expected = TokensOf(plain);
  for (const size_t max_rollback : {0, 1, 5, 30}) {
    FaultyDrafter drafter(expected, vocab_size, 0.1, 3);
    Session session = NewSession(model, {.max_rollback = max_rollback});
    // No pass starts again from a checkpoint or the start.
    size_t earliest = 0;
    session.SetTap([&](const TapSite& site, absl::Span<float>) {
      if (site.point != TapPoint::kBlockOutput || site.layer != 0) return;
      EXPECT_GE(site.position, earliest);
      const size_t end = site.position + site.num_rows;
      earliest = end > max_rollback ? end - max_rollback : 0;
    });
    Choose(session, &drafter, {.temperature = 0.0f});
    EXPECT_EQ(TokensOf(session), expected);
    EXPECT_LE(drafter.longest, max_rollback);
  }
}

TEST_P(Speculate, DestructorForgetsDrafts) {
  const Model model = LoadToy(GetParam(), 1);
  Session session = NewSession(model);
  ASSERT_TRUE(session.Forward(Prompt()).ok());
  {
    FaultyDrafter drafter({}, 200, 0, 5);
    drafter.Begin(session.tokens());
    Speculator speculator(session, &drafter);
    while (speculator.num_drafted() == 0) {
      ASSERT_TRUE(speculator.Append(9, 16, {}).ok());
    }
  }
  Tokens expected = TokensOf(session);
  EXPECT_EQ(expected.back(), 9);
  const std::vector<float> logits = LogitsAfter(session, 7);
  expected.push_back(7);
  Session other = NewSession(model);
  ASSERT_TRUE(other.Forward(absl::MakeSpan(expected).first(20)).ok());
  EXPECT_TRUE(
      std::equal(expected.begin(), expected.begin() + 20, Prompt().begin()));
  for (size_t i = 20; i + 1 < expected.size(); ++i) {
    EXPECT_EQ(expected[i], 9);
    ASSERT_TRUE(other.Forward({&expected[i], 1}).ok());
  }
  EXPECT_EQ(LogitsAfter(other, 7), logits);
}

TEST_P(Speculate, SameCheckpoints) {
  const Model model = LoadToy(GetParam(), 1);
  const auto vocab_size = static_cast<TokenId>(model.config().vocab_size);
  for (const size_t interval : {1, 3, 7}) {
    const SessionOptions options = {.max_rollback = 4,
                                    .checkpoint_interval = interval,
                                    .max_checkpoints = 3};
    Session plain = NewSession(model, options);
    Choose(plain, nullptr, {.temperature = 0.0f});
    const Tokens expected = TokensOf(plain);
    FaultyDrafter drafter(expected, vocab_size, 0.2, 4);
    Session session = NewSession(model, options);
    Choose(session, &drafter, {.temperature = 0.0f});
    EXPECT_EQ(TokensOf(session), expected);
    EXPECT_LT(drafter.longest, interval);
    // Both go back to the same checkpoint.
    const auto earliest_on_going_back = [](Session& s) {
      size_t earliest = s.position();
      s.SetTap([&](const TapSite& site, absl::Span<float>) {
        earliest = std::min(earliest, site.position);
      });
      EXPECT_TRUE(s.Rewind(s.position() - 8).ok());
      s.SetTap({});
      return earliest;
    };
    EXPECT_EQ(earliest_on_going_back(session), earliest_on_going_back(plain));
    EXPECT_EQ(LogitsAfter(session, 7), LogitsAfter(plain, 7));
  }
}

// ---------------------------------------------------------------------------
// Generate: with and without drafts, an answer ends in the same place

// Everything that a caller can see of an answer.
struct SeenLogits {
  std::vector<std::string> parts;
  Tokens tokens;  // of the session
  StopReason stop_reason = StopReason::kCancelled;
  size_t new_tokens = 0;
  size_t times_asked = 0;          // calls of `cancelled`
  std::vector<double> scores;      // log-probabilities, if wanted
  std::vector<float> next_logits;  // empty if the context is full

  bool operator==(const SeenLogits&) const = default;
};

// A prompt and how to answer it.
struct Question {
  Tokens prompt;
  GenerateOptions options;
  size_t max_context = 256;
  size_t cancel_at = 0;  // the call of `cancelled` that is true; 0: none
  size_t refuse_at = 0;  // the text that on_text refuses; 0: none
  bool scored = false;   // log-probabilities are wanted
};

// Asks in a new session. `drafter` makes a Drafter* for it.
template <class MakeDrafter>
SeenLogits Ask(const Model& model, Question question,
               const MakeDrafter& drafter, GenerateStats* stats_out = nullptr) {
  SeenLogits seen;
  Session session = NewSession(model, {.max_tokens = question.max_context});
  question.options.cancelled = [&] {
    return ++seen.times_asked == question.cancel_at;
  };
  if (question.scored) {
    question.options.num_alternatives = 2;
    question.options.on_token = [&](const ScoredToken& token) {
      seen.scores.push_back(token.log_probability.value());
      for (const TokenProbability& other : token.alternatives) {
        seen.scores.push_back(other.log_probability);
      }
    };
  }
  const auto stats =
      GenerateWith(drafter(session), session, question.prompt, question.options,
                   [&](std::string_view text) {
                     seen.parts.emplace_back(text);
                     return seen.parts.size() != question.refuse_at;
                   });
  EXPECT_EQ(ErrorOf(stats.status()), "OK");
  if (!stats.ok()) return seen;
  if (stats_out != nullptr) *stats_out = *stats;
  EXPECT_LE(stats->accepted_tokens, stats->drafted_tokens);
  EXPECT_LE(stats->accepted_tokens, stats->new_tokens);
  seen.tokens = TokensOf(session);
  seen.stop_reason = stats->stop_reason;
  seen.new_tokens = stats->new_tokens;
  if (session.remaining() > 0) seen.next_logits = LogitsAfter(session, 7);
  return seen;
}

Drafter* None(Session&) { return nullptr; }

// Asks without drafts and with good and bad drafts of `truth`, the sequence as
// it goes on without limits. Returns the answer without drafts.
SeenLogits AskEachWay(const Model& model, const Question& question,
                      const Tokens& truth) {
  const SeenLogits plain = Ask(model, question, None);
  const auto vocab_size = static_cast<TokenId>(model.config().vocab_size);
  for (uint64_t seed = 0; seed < 8; ++seed) {
    FaultyDrafter drafter(truth, vocab_size, seed % 2 == 0 ? 0.0 : 0.2, seed);
    const SeenLogits drafted =
        Ask(model, question, [&](Session&) { return &drafter; });
    EXPECT_TRUE(drafted == plain)
        << drafted.new_tokens << " tokens, plain " << plain.new_tokens;
  }
  return plain;
}

// A model that says "a0 a1 ... an" and then <eos>.
class Counting {
 public:
  explicit Counting(size_t count) {
    std::vector<std::string> pieces;
    std::map<TokenId, TokenId> next;
    truth_ = {2};
    for (size_t i = 0; i < count; ++i) {
      pieces.push_back("a" + std::to_string(i));
      next[truth_.back()] = kFirstPiece + static_cast<TokenId>(i);
      truth_.push_back(kFirstPiece + static_cast<TokenId>(i));
    }
    // Drafts go on after the end.
    truth_.push_back(1);
    for (size_t i = 0; i < 20; ++i) truth_.push_back(kFirstPiece);
    const std::string path = TestDirectory() + "/m.gguf";
    WriteFile(path, ScriptedModel(pieces, next));
    model_.emplace_back(LoadOrDie(path, {.num_threads = 1}));
  }

  SeenLogits Ask(Question question) const {
    question.prompt = {2};
    question.options.sampling.temperature = 0.0f;
    return AskEachWay(model_[0], question, truth_);
  }

  const Model& model() const { return model_[0]; }

 private:
  Tokens truth_;
  std::vector<Model> model_;
};

TEST(SpeculateEnds, AtAStopToken) {
  for (const size_t count : {0, 1, 2, 15, 16, 17, 30}) {
    const SeenLogits seen = Counting(count).Ask({});
    EXPECT_EQ(seen.stop_reason, StopReason::kStopToken);
    EXPECT_EQ(seen.new_tokens, count);
  }
}

TEST(SpeculateEnds, AtMaxNewTokens) {
  const Counting model(30);
  for (size_t max = 1; max <= 31; ++max) {
    Question question;
    question.options.max_new_tokens = max;
    const SeenLogits seen = model.Ask(question);
    EXPECT_EQ(seen.new_tokens, std::min<size_t>(max, 30));
    EXPECT_EQ(seen.stop_reason,
              max <= 30 ? StopReason::kMaxTokens : StopReason::kStopToken);
  }
}

TEST(SpeculateEnds, WhenContextIsFull) {
  const Counting model(30);
  for (size_t context = 1; context <= 31; ++context) {
    const SeenLogits seen = model.Ask({.max_context = context});
    EXPECT_EQ(seen.stop_reason, StopReason::kContextFull);
    EXPECT_EQ(seen.tokens.size(), context);
  }
}

TEST(SpeculateEnds, AtAStopString) {
  const Counting model(30);
  for (size_t i = 0; i < 29; ++i) {
    // The stop string is in two tokens.
    Question question;
    question.options.stop_strings = {std::to_string(i) + "a"};
    const SeenLogits seen = model.Ask(question);
    EXPECT_EQ(seen.stop_reason, StopReason::kStopString);
    EXPECT_EQ(seen.new_tokens, i + 2);
  }
}

TEST(SpeculateEnds, WhenCancelled) {
  const Counting model(30);
  for (size_t at = 1; at <= 31; ++at) {
    const SeenLogits cancelled = model.Ask({.cancel_at = at});
    EXPECT_EQ(cancelled.stop_reason, StopReason::kCancelled);
    EXPECT_EQ(cancelled.new_tokens, at - 1);
    if (at == 31) break;
    const SeenLogits refused = model.Ask({.refuse_at = at});
    EXPECT_EQ(refused.stop_reason, StopReason::kCancelled);
    EXPECT_EQ(refused.new_tokens, at);
  }
}

// The model has a vocabulary of 512 pieces and weights of every type.
TEST(SpeculateMixed, SameAnswersAnySeed) {
  const Model model =
      LoadOrDie(std::string(GEMMA_TESTDATA_DIR) + "/gguf/gemma3_mixed.gguf",
                {.num_threads = 1});
  size_t new_tokens = 0;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    Question question = {.prompt = {2, 300, 310, 320}};
    question.options.max_new_tokens = 60;
    question.options.sampling = {.temperature = seed == 0 ? 0.0f : 1.2f,
                                 .seed = seed};
    const Tokens truth = Ask(model, question, None).tokens;
    const SeenLogits seen = AskEachWay(model, question, truth);
    new_tokens += seen.new_tokens;
  }
  EXPECT_GT(new_tokens, 0u);
}

// All options that make a token depend on those before it.
std::vector<SamplingOptions> DependentSamplings() {
  const SamplingOptions warm = {.temperature = 1.2f, .top_k = 0, .top_p = 1.0f};
  std::vector<SamplingOptions> out(7, warm);
  out[0].typical_p = 0.7f;
  out[1].repetition_penalty = 1.3f;
  out[2].repetition_penalty = 0.6f;  // makes repetitions, so drafts are right
  out[3].frequency_penalty = 0.5f;
  out[4].presence_penalty = 1.0f;
  out[4].penalty_window = 5;
  out[5].logit_bias = {{300, 4.0f}, {301, -INFINITY}};
  out[6] = {.temperature = 0.0f,
            .repetition_penalty = 1.2f,
            .frequency_penalty = 0.3f,
            .presence_penalty = 0.2f,
            .penalty_window = 0,
            .logit_bias = {{310, 3.0f}}};
  // Penalties with only a few of the largest logits.
  out.push_back(out[1]);
  out.back().top_k = 5;
  return out;
}

TEST(SpeculateMixed, SameAnswersAnyOption) {
  const Model model =
      LoadOrDie(std::string(GEMMA_TESTDATA_DIR) + "/gguf/gemma3_mixed.gguf",
                {.num_threads = 1});
  size_t new_tokens = 0;
  for (const SamplingOptions& sampling : DependentSamplings()) {
    for (uint64_t seed = 0; seed < 2; ++seed) {
      Question question = {.prompt = {2, 300, 310, 320, 300, 310}};
      question.options.max_new_tokens = 40;
      question.options.sampling = sampling;
      question.options.sampling.seed = seed;
      const Tokens truth = Ask(model, question, None).tokens;
      const SeenLogits plain = AskEachWay(model, question, truth);
      new_tokens += plain.new_tokens;
      // Log-probabilities do not change the answer, and drafts do not change
      // their bits.
      question.scored = true;
      SeenLogits scored = AskEachWay(model, question, truth);
      EXPECT_EQ(scored.scores.size(), 3 * scored.new_tokens);
      scored.scores.clear();
      EXPECT_TRUE(scored == plain);
    }
  }
  EXPECT_GT(new_tokens, 100u);
}

// ---------------------------------------------------------------------------
// N-grams

// A model that repeats three words for ever.
Model RoundAndRound() {
  const std::string path = TestDirectory() + "/m.gguf";
  constexpr TokenId kA = kFirstPiece;
  WriteFile(path, ScriptedModel(
                      {"x", "y", "z"},
                      {{2, kA}, {kA, kA + 1}, {kA + 1, kA + 2}, {kA + 2, kA}}));
  return LoadOrDie(path, {.num_threads = 1});
}

Question RoundAndRoundQuestion() {
  Question question = {.prompt = {2}};
  question.options.sampling.temperature = 0.0f;
  question.options.max_new_tokens = 200;
  return question;
}

TEST(SpeculateNgrams, RepetitionNeedsFewPasses) {
  const Model model = RoundAndRound();
  const Question question = RoundAndRoundQuestion();
  const SeenLogits plain = Ask(model, question, None);
  std::vector<EagerDrafter> drafters;
  drafters.reserve(1);
  GenerateStats stats;
  const SeenLogits drafted = Ask(
      model, question,
      [&](Session& session) { return &drafters.emplace_back(session); },
      &stats);
  EXPECT_TRUE(drafted == plain);
  EXPECT_EQ(stats.new_tokens, 200u);
  EXPECT_EQ(stats.accepted_tokens, stats.drafted_tokens);
  EXPECT_EQ(drafters[0].passes, 200 - stats.accepted_tokens);
  EXPECT_LT(drafters[0].passes, 40u);
}

TEST(SpeculateNgrams, DraftsNoStopToken) {
  const Model model = RoundAndRound();
  Session session = NewSession(model);
  EagerDrafter drafter(session);
  // Repeat <bos> a <eos>.
  constexpr TokenId kA = kFirstPiece;
  Tokens tokens;
  for (int i = 0; i < 20; ++i) tokens.insert(tokens.end(), {2, kA, 1});
  drafter.Begin(tokens);
  for (int i = 0; i < 3; ++i) drafter.PassTook(1, 1.0);
  drafter.Append(2);
  const absl::Span<const TokenId> draft = drafter.Draft(15);
  EXPECT_EQ(Tokens(draft.begin(), draft.end()), Tokens({kA}));
  drafter.Append(kA);
  EXPECT_TRUE(drafter.Draft(15).empty());
}

TEST(SpeculateNgrams, SameAnswerWithAuto) {
  const Model model = RoundAndRound();
  Question question = RoundAndRoundQuestion();
  const SeenLogits plain = Ask(model, question, None);
  for (const Speculation speculation :
       {Speculation::kOff, Speculation::kAuto}) {
    question.options.speculation = speculation;
    Session session = NewSession(model, {.max_tokens = 256});
    const auto stats = Generate(session, question.prompt, question.options,
                                [](std::string_view) { return true; });
    ASSERT_EQ(ErrorOf(stats.status()), "OK");
    EXPECT_EQ(TokensOf(session), plain.tokens);
    EXPECT_EQ(LogitsAfter(session, 7), plain.next_logits);
    if (speculation == Speculation::kOff) {
      EXPECT_EQ(stats->drafted_tokens, 0u);
    } else {
      // The first draft does not depend on times: until a draft was measured,
      // the policy guesses what it costs, and long matches promise more. Later
      // drafts may be slow on this machine, so that there may be only one.
      EXPECT_GT(stats->drafted_tokens, 0u);
    }
  }
}

TEST(SpeculateNgrams, TapSeesTokensOnce) {
  const Model model = RoundAndRound();
  const Question question = RoundAndRoundQuestion();
  Session session = NewSession(model, {.max_tokens = 256});
  size_t rows = 0;
  session.SetTap([&](const TapSite& site, absl::Span<float>) {
    if (site.point == TapPoint::kBlockOutput) rows += site.num_rows;
  });
  EXPECT_TRUE(session.has_tap());
  const auto stats = Generate(session, question.prompt, question.options,
                              [](std::string_view) { return true; });
  ASSERT_EQ(ErrorOf(stats.status()), "OK");
  EXPECT_EQ(stats->drafted_tokens, 0u);
  EXPECT_EQ(rows, session.position());
  session.SetTap({});
  EXPECT_FALSE(session.has_tap());
}

}  // namespace
}  // namespace gemma::internal
