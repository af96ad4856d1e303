// Answers with a grammar: tokens are sampled as if only the allowed ones
// existed, and the text is valid.

#include "src/generate/constraint.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/generate/generate.h"
#include "src/generate/speculator.h"
#include "src/grammar/grammar_impl.h"
#include "src/text/tokenizer/tokenizer_impl.h"
#include "tests/support/error_of.h"
#include "tests/support/grammar_texts.h"
#include "tests/support/hostile_model.h"
#include "tests/support/near.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

std::string ToyFile() {
  return std::string(GEMMA_TESTDATA_DIR) + "/gguf/gemma3_mixed.gguf";
}

std::vector<Grammar> SomeGrammars() {
  std::vector<Grammar> grammars;
  grammars.push_back(Grammar::AnyJson());
  grammars.push_back(*Grammar::FromRegex("[a-z ]{3,40}(\\.|!)?"));
  grammars.push_back(*Grammar::FromRegex(".*"));
  grammars.push_back(*Grammar::FromChoices({"yes", "no", "not at all"}));
  grammars.push_back(*Grammar::FromJsonSchema(
      R"({"type":"object","properties":{"s":{"type":"string",)"
      R"("maxLength":9},"n":{"type":"number","maximum":10.5},)"
      R"("k":{"enum":["one","two","three"]}},"required":["s","n"]})"));
  return grammars;
}

// Sets the logits of tokens that are not allowed to -infinity, checking each
// token by itself.
class Masker {
 public:
  Masker(const Grammar& grammar, const Tokenizer& tokenizer,
         const std::vector<TokenId>& stops)
      : trie_(tokenizer.impl().trie()),
        stops_(stops),
        automaton_(grammar.impl().bytes),
        state_(automaton_.start()) {}

  void Mask(absl::Span<float> logits) {
    for (size_t i = 0; i < logits.size(); ++i) {
      if (!Allowed(static_cast<TokenId>(i))) logits[i] = -INFINITY;
    }
  }
  bool Allowed(TokenId token) {
    if (std::count(stops_.begin(), stops_.end(), token) != 0) {
      return automaton_.may_end(state_);
    }
    if (static_cast<size_t>(token) >= trie_.num_tokens()) return false;
    return !trie_.bytes(token).empty() && After(token) != Automaton::kDead;
  }
  void Accept(TokenId token) { state_ = After(token); }
  bool must_end() const { return automaton_.must_end(state_); }

 private:
  Automaton::StateId After(TokenId token) {
    Automaton::StateId state = state_;
    for (const char byte : trie_.bytes(token)) {
      state = automaton_.Step(state, static_cast<uint8_t>(byte));
    }
    return state;
  }

  const TokenTrie& trie_;
  const std::vector<TokenId> stops_;
  Automaton automaton_;
  Automaton::StateId state_;
};

SamplingOptions RandomSampling(std::mt19937_64& random) {
  const auto one_in = [&](size_t n) { return random() % n == 0; };
  SamplingOptions options;
  options.temperature = static_cast<float>(random() % 4) * 0.7f;
  options.top_k = one_in(4) ? 0 : 1 + random() % 40;
  options.top_p = one_in(2) ? 1.0f : 0.8f;
  options.min_p = one_in(2) ? 0.0f : 0.02f;
  options.typical_p = one_in(2) ? 1.0f : 0.8f;
  options.repetition_penalty = one_in(2) ? 1.0f : one_in(3) ? 0.8f : 1.4f;
  options.frequency_penalty = one_in(2) ? 0.0f : 0.3f;
  options.presence_penalty = one_in(2) ? 0.0f : one_in(3) ? -0.3f : 0.3f;
  options.penalty_window = one_in(4) ? 0 : 1 + random() % 20;
  for (TokenId token = 3; token < 500; token += 40) {
    if (one_in(6))
      options.logit_bias.push_back({token, one_in(2) ? -3.0f : -INFINITY});
  }
  if (one_in(6)) options.logit_bias.push_back({20, 2.0f});
  options.seed = random();
  return options;
}

// Control tokens, the bytes, and many pieces: most grammars allow more tokens
// than AllowedTokens::Few lists.
Tokenizer LargeTokenizer() {
  Vocabulary vocabulary;
  vocabulary.pieces = {{"<unk>", 0, PieceType::kUnknown},
                       {"<eos>", 0, PieceType::kControl},
                       {"<bos>", 0, PieceType::kControl}};
  vocabulary.unk = 0;
  vocabulary.eos = 1;
  vocabulary.bos = 2;
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary.pieces.push_back(
        {absl::StrFormat("<0x%02X>", byte), 0, PieceType::kByte});
  }
  std::set<std::string> texts;
  std::mt19937_64 random(9);
  while (texts.size() < 5000) {
    std::string text;
    do {
      const std::string_view parts[] = {"a",  "e", "n", "s", "t",  "1", kBlank,
                                        "\"", ",", "}", ":", "\n", "日"};
      text += parts[random() % std::size(parts)];
    } while (random() % 4 != 0);
    texts.insert(text);
  }
  for (const std::string& text : texts) vocabulary.pieces.push_back({text});
  absl::StatusOr<Tokenizer> tokenizer =
      MakeTokenizer(std::move(vocabulary), "large");
  EXPECT_EQ(ErrorOf(tokenizer.status()), "OK");
  return *std::move(tokenizer);
}

// Changes `logits` as the engine does if only some are needed.
void LeaveNeeded(const NeededLogits& needed, std::vector<float>& logits,
                 size_t& num_enough) {
  std::vector<float> some(logits.size(), -INFINITY);
  if (!needed.tokens.empty()) {
    for (const TokenId token : needed.tokens) some[token] = logits[token];
    logits = some;
    return;
  }
  if (needed.top_k == 0 || needed.top_k >= logits.size()) return;
  std::vector<float> ranked = logits;
  std::nth_element(ranked.begin(), ranked.begin() + (needed.top_k - 1),
                   ranked.end(), std::greater<>());
  for (size_t i = 0; i < logits.size(); ++i) {
    // The engine may compute a few more.
    if (logits[i] >= ranked[needed.top_k - 1] || i % 16 == 3) {
      some[i] = logits[i];
    }
  }
  if (needed.enough && !needed.enough(some)) return;
  ++num_enough;
  logits = some;
}

TEST(Constraint, EqualsMaskedLogits) {
  const Tokenizer tokenizer = LargeTokenizer();
  const std::vector<TokenId> stops = {1, 106};
  const size_t vocab_size = tokenizer.vocab_size() + 5;
  std::mt19937_64 random(7);
  size_t num_enough = 0;
  for (const Grammar& grammar : SomeGrammars()) {
    for (int trial = 0; trial < 40; ++trial) {
      const SamplingOptions options = RandomSampling(random);
      ASSERT_TRUE(Validate(options).ok());
      Sampler sampler(options);
      Sampler reference(options);
      Constraint constraint(&grammar, tokenizer, stops,
                            sampler.num_candidates(), trial % 10 == 0);
      Masker masker(grammar, tokenizer, stops);
      for (int step = 0; step < 25 && !masker.must_end(); ++step) {
        std::vector<float> logits = RandomVector(vocab_size, random() % 50);
        // Some are equal, one is NaN.
        for (float& logit : logits) logit = std::round(logit * 40) / 4;
        if (trial % 7 == 0) logits[random() % vocab_size] = NAN;
        std::vector<float> masked = logits;
        masker.Mask(absl::MakeSpan(masked));
        TokenId expected = reference.Sample(absl::MakeSpan(masked));
        // If biases forbid all allowed tokens, the lowest one is chosen.
        for (TokenId t = 0; !masker.Allowed(expected); ++t) expected = t;

        LeaveNeeded(constraint.needed(), logits, num_enough);
        constraint.Apply(absl::MakeSpan(logits));
        const TokenId token =
            constraint.Allowed(sampler.Sample(absl::MakeSpan(logits)));
        ASSERT_EQ(token, expected) << "trial " << trial << ", step " << step;
        if (token == stops[0] || token == stops[1]) break;
        constraint.Accept(token);
        masker.Accept(token);
        sampler.Accept({&token, 1});
        reference.Accept({&token, 1});
        ASSERT_EQ(constraint.must_end(), masker.must_end());
      }
      EXPECT_EQ(ErrorOf(constraint.status()), "OK");
    }
  }
  EXPECT_GT(num_enough, 100u);
}

TEST(Constraint, ChangesNothingWithoutGrammar) {
  const auto tokenizer = Tokenizer::Load(ToyFile());
  ASSERT_EQ(ErrorOf(tokenizer.status()), "OK");
  Constraint constraint(nullptr, *tokenizer, {}, 7, false);
  EXPECT_EQ(constraint.needed().top_k, 7u);
  EXPECT_TRUE(constraint.needed().tokens.empty());
  EXPECT_FALSE(constraint.needed().enough);
  std::vector<float> logits = {1, 2, NAN};
  constraint.Apply(absl::MakeSpan(logits));
  EXPECT_EQ(logits[1], 2);
  EXPECT_EQ(constraint.Allowed(5), 5);
  EXPECT_FALSE(constraint.must_end());
  EXPECT_TRUE(Constraint(nullptr, *tokenizer, {}, 7, true).needed().top_k == 0);
}

// ---------------------------------------------------------------------------
// Generate

struct Seen {
  std::string text;
  std::vector<TokenId> tokens;  // of the session
  StopReason stop_reason = StopReason::kCancelled;
  bool operator==(const Seen&) const = default;
};

Seen AskIn(Session& session, Drafter* drafter, const GenerateOptions& options,
           const std::vector<TokenId>& prompt) {
  Seen seen;
  const auto stats = GenerateWith(drafter, session, prompt, options,
                                  [&](std::string_view text) {
                                    seen.text += text;
                                    return true;
                                  });
  EXPECT_EQ(ErrorOf(stats.status()), "OK");
  if (stats.ok()) seen.stop_reason = stats->stop_reason;
  seen.tokens.assign(session.tokens().begin(), session.tokens().end());
  return seen;
}

Seen AskConstrained(const Model& model, const GenerateOptions& options,
                    const std::vector<TokenId>& prompt) {
  Session session = NewSession(model, {.max_tokens = 700});
  return AskIn(session, nullptr, options, prompt);
}

bool Whole(StopReason reason) {
  return reason == StopReason::kStopToken || reason == StopReason::kGrammarEnd;
}

class GenerateGrammar : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    model_ = new Model(LoadOrDie(ToyFile(), {.num_threads = 1}));
  }
  static void TearDownTestSuite() {
    delete model_;
    model_ = nullptr;
  }
  const std::vector<TokenId> kPrompt = {2, 300, 310, 320};
  static Model* model_;
};

Model* GenerateGrammar::model_ = nullptr;

// A model with random weights, which says anything.
TEST_F(GenerateGrammar, WholeAnswersAreValid) {
  Validation validation;
  size_t num_whole = 0;
  for (const auto& c : SchemaCases()) {
    const auto grammar = Grammar::FromJsonSchema(c["schema"].dump());
    ASSERT_EQ(ErrorOf(grammar), "OK");
    for (uint64_t seed = 0; seed < 6; ++seed) {
      GenerateOptions options;
      options.grammar = &*grammar;
      options.max_new_tokens = 80;
      options.sampling = {.temperature = 1.0f + static_cast<float>(seed),
                          .top_k = seed % 2 == 0 ? size_t{0} : size_t{64},
                          .top_p = 1.0f,
                          .seed = seed};
      const Seen seen = AskConstrained(*model_, options, kPrompt);
      if (!Whole(seen.stop_reason)) continue;
      ++num_whole;
      EXPECT_TRUE(Matches(*grammar, seen.text)) << seen.text;
      validation.Add({{"schema", c["schema"]},
                      {"text", seen.text},
                      {"matches", true},
                      {"exact", false},
                      {"valid", true}});
    }
  }
  EXPECT_GT(num_whole, 200u);
  validation.Run();
}

// Guesses the next tokens, with some faults.
class HalfRightDrafter : public Drafter {
 public:
  HalfRightDrafter(std::vector<TokenId> sequence, uint64_t seed)
      : sequence_(std::move(sequence)), random_(seed) {}

  void Begin(absl::Span<const TokenId> tokens) override {
    position_ = tokens.size();
  }
  void Append(TokenId) override { ++position_; }
  absl::Span<const TokenId> Draft(size_t most) override {
    draft_.clear();
    for (size_t at = position_;
         at < sequence_.size() && draft_.size() < most && random_() % 4 != 0;
         ++at) {
      draft_.push_back(random_() % 5 == 0 ? 7 : sequence_[at]);
    }
    if (!draft_.empty()) ++drafts;
    return draft_;
  }
  void PassTook(size_t, double) override {}

  size_t drafts = 0;

 private:
  std::vector<TokenId> sequence_;
  std::mt19937_64 random_;
  size_t position_ = 0;
  std::vector<TokenId> draft_;
};

// Log-probabilities do not change it either.
TEST_F(GenerateGrammar, DraftsChangeNoAnswer) {
  std::mt19937_64 random(8);
  size_t drafted = 0;
  for (const Grammar& grammar : SomeGrammars()) {
    for (int trial = 0; trial < 10; ++trial) {
      GenerateOptions options;
      options.grammar = &grammar;
      options.max_new_tokens = 60;
      options.sampling = RandomSampling(random);
      // At temperature 0, the model repeats itself.
      if (trial % 2 == 0) options.sampling = {.temperature = 0};
      const Seen expected = AskConstrained(*model_, options, kPrompt);

      Session session = NewSession(*model_, {.max_tokens = 700});
      HalfRightDrafter drafter(expected.tokens, random());
      EXPECT_EQ(AskIn(session, &drafter, options, kPrompt), expected);
      drafted += drafter.drafts;

      options.on_token = [](const ScoredToken&) {};
      EXPECT_EQ(AskConstrained(*model_, options, kPrompt), expected);
    }
  }
  EXPECT_GT(drafted, 20u);
}

// The model's stop tokens are forbidden where the text may not end.
TEST(GenerateScripted, EndsWhereGrammarEnds) {
  const std::string path = TestDirectory() + "/m.gguf";
  // The model says "ab" for ever, and ends after "c".
  WriteFile(path, ScriptedModel({"ab", "c"}, {{2, kFirstPiece},
                                              {kFirstPiece, kFirstPiece}}));
  const Model model = LoadOrDie(path, {.num_threads = 1});
  const auto ask = [&](const absl::StatusOr<Grammar>& grammar, size_t max) {
    EXPECT_EQ(ErrorOf(grammar), "OK");
    GenerateOptions options;
    options.grammar = &*grammar;
    options.max_new_tokens = max;
    options.sampling.temperature = 0;
    Seen seen = AskConstrained(model, options, {2});
    EXPECT_EQ(seen.tokens.size() > 1 || seen.text.empty(), true);
    return seen;
  };
  Seen seen = ask(Grammar::FromRegex("(ab){3}"), 4);
  EXPECT_EQ(seen.text, "ababab");
  EXPECT_EQ(seen.stop_reason, StopReason::kGrammarEnd);
  EXPECT_EQ(seen.tokens.size(), 1u + 3);
  seen = ask(Grammar::FromRegex("(ab){3}"), 3);
  EXPECT_EQ(seen.stop_reason, StopReason::kGrammarEnd);
  seen = ask(Grammar::FromRegex("(ab){3}"), 2);
  EXPECT_EQ(seen.stop_reason, StopReason::kMaxTokens);
  seen = ask(Grammar::FromRegex("(ab)+"), 5);
  EXPECT_EQ(seen.text, "ababababab");
  EXPECT_EQ(seen.stop_reason, StopReason::kMaxTokens);
  // After "c" the model wants to end, but the grammar does not allow it.
  seen = ask(Grammar::FromRegex("c(c|d)d{2}"), 9);
  EXPECT_EQ(seen.text.size(), 4u);
  EXPECT_EQ(seen.stop_reason, StopReason::kGrammarEnd);
  seen = ask(Grammar::FromRegex("c+"), 9);
  EXPECT_EQ(seen.text, "c");
  EXPECT_EQ(seen.stop_reason, StopReason::kStopToken);
  seen = ask(Grammar::FromChoices({""}), 9);
  EXPECT_EQ(seen.text, "");
  EXPECT_EQ(seen.stop_reason, StopReason::kGrammarEnd);
  // These characters need byte tokens, because no other piece has them.
  seen = ask(Grammar::FromRegex("\u65e5\U0001F600"), 9);
  EXPECT_EQ(seen.text, "\u65e5\U0001F600");
  EXPECT_EQ(seen.tokens.size(), 1u + 7);
}

TEST_F(GenerateGrammar, AmbiguousGrammarFails) {
  const auto grammar = Grammar::FromRegex("((ab?){1,900}c?){1,900}");
  ASSERT_EQ(ErrorOf(grammar), "OK");
  GenerateOptions options;
  options.grammar = &*grammar;
  options.max_new_tokens = 600;
  const Tokenizer& tokenizer = **model_->tokenizer();
  options.sampling = {.temperature = 0,
                      .logit_bias = {{*tokenizer.Find("<0x61>"), 1e6f}}};
  Session session = NewSession(*model_, {.max_tokens = 700});
  const auto stats = Generate(session, kPrompt, options,
                              [](std::string_view) { return true; });
  EXPECT_EQ(stats.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(ErrorOf(stats.status()), HasSubstr("too ambiguous"));
}

}  // namespace
}  // namespace gemma::internal
