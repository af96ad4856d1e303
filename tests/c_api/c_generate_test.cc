// Tests that all options of an answer do in C what they do in C++.

#include "gemma/c_generate.h"

#include <cmath>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/c_api/c_toys.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

// What an answer's functions received.
struct Received {
  std::string text;
  std::vector<std::pair<size_t, size_t>> progress;
  std::vector<int32_t> control;
  // Of each token: itself, its log-probability and its alternatives.
  std::vector<std::vector<double>> scored;
  std::string pieces;

  bool operator==(const Received&) const = default;
};

void AddScored(Received& to, const ScoredToken& token) {
  std::vector<double> scored = {double(token.token),
                                token.log_probability.value_or(7)};
  to.pieces += token.piece;
  for (const TokenProbability& other : token.alternatives) {
    scored.push_back(other.token);
    scored.push_back(other.log_probability);
    to.pieces += other.piece;
  }
  to.scored.push_back(std::move(scored));
}

void AddScoredInC(const gemma_scored_token* token, void* user) {
  EXPECT_EQ(token->struct_size, sizeof(*token));
  ScoredToken same = {.token = token->token,
                      .piece = {token->piece, token->piece_size}};
  if (token->has_log_probability) same.log_probability = token->log_probability;
  for (size_t i = 0; i < token->num_alternatives; ++i) {
    const gemma_token_probability& other = token->alternatives[i];
    same.alternatives.push_back({.token = other.token,
                                 .piece = {other.piece, other.piece_size},
                                 .log_probability = other.log_probability});
  }
  AddScored(*static_cast<Received*>(user), same);
}

bool ReceiveText(const char* text, size_t size, void* user) {
  static_cast<Received*>(user)->text.append(text, size);
  return true;
}

void ReceiveProgress(size_t done, size_t total, void* user) {
  static_cast<Received*>(user)->progress.push_back({done, total});
}

void ReceiveControl(int32_t token, void* user) {
  static_cast<Received*>(user)->control.push_back(token);
}

// Answers in both languages and expects the same. Returns what C received.
Received AnswerBoth(const gemma_generate_options& options,
                    const GenerateOptions& same) {
  const CToy& toy = Gemma3Toy();
  const std::vector<int32_t> prompt = HelloPrompt(toy);
  Received expected, received;
  Session session = NewSession(toy.same);
  const auto want = Generate(session, prompt, same, [&](std::string_view text) {
    expected.text += text;
    return true;
  });
  EXPECT_TRUE(want.ok()) << want.status();
  const CSequence made(toy);
  gemma_generate_stats stats = Initialized(gemma_generate_stats_init);
  EXPECT_EQ(gemma_generate(made.session, prompt.data(), prompt.size(), &options,
                           ReceiveText, &received, &stats),
            GEMMA_OK)
      << gemma_last_error();
  EXPECT_EQ(received.text, expected.text);
  EXPECT_EQ(made.Tokens(), TokensOf(session));
  EXPECT_EQ(stats.prompt_tokens, want->prompt_tokens);
  EXPECT_EQ(stats.new_tokens, want->new_tokens);
  EXPECT_EQ(gemma_stop_reason_name(stats.stop_reason),
            StopReasonName(want->stop_reason));
  return received;
}

TEST(CGenerate, DefaultsEqualLibrary) {
  gemma_generate_options options = Initialized(gemma_generate_options_init);
  options.max_new_tokens = 30;
  AnswerBoth(options, {.max_new_tokens = 30});
  EXPECT_EQ(options.speculate, true);
}

// Sets an option in both languages.
struct OptionPair {
  const char* name;
  std::function<void(gemma_generate_options&, GenerateOptions&)> set;
};

TEST(CGenerate, EachOptionIsHonoured) {
  static constexpr gemma_logit_bias kBias[] = {{17, 4.0f}, {5, -INFINITY}};
  static constexpr int32_t kStops[] = {3, 40, 41, 42, 43, 44, 45, 46, 47, 48};
  static constexpr const char* kTexts[] = {"e", "a"};
  const std::vector<OptionPair> pairs = {
      {"temperature",
       [](auto& c, auto& cc) { c.temperature = cc.sampling.temperature = 3; }},
      {"top_k", [](auto& c, auto& cc) { c.top_k = cc.sampling.top_k = 2; }},
      {"top_p", [](auto& c, auto& cc) { c.top_p = cc.sampling.top_p = 0.2f; }},
      {"min_p", [](auto& c, auto& cc) { c.min_p = cc.sampling.min_p = 1; }},
      {"typical_p",
       [](auto& c, auto& cc) { c.typical_p = cc.sampling.typical_p = 0.1f; }},
      {"repetition_penalty",
       [](auto& c, auto& cc) {
         c.repetition_penalty = cc.sampling.repetition_penalty = 50;
       }},
      {"frequency_penalty",
       [](auto& c, auto& cc) {
         c.frequency_penalty = cc.sampling.frequency_penalty = 30;
       }},
      {"presence_penalty",
       [](auto& c, auto& cc) {
         c.presence_penalty = cc.sampling.presence_penalty = 30;
       }},
      {"penalty_window",
       [](auto& c, auto& cc) {
         c.presence_penalty = cc.sampling.presence_penalty = 30;
         c.penalty_window = cc.sampling.penalty_window = 1;
       }},
      {"logit_bias",
       [](auto& c, auto& cc) {
         c.logit_bias = kBias;
         c.num_logit_bias = 2;
         cc.sampling.logit_bias = {{17, 4.0f}, {5, -INFINITY}};
       }},
      {"seed", [](auto& c, auto& cc) { c.seed = cc.sampling.seed = 99; }},
      {"stop_tokens",
       [](auto& c, auto& cc) {
         c.stop_tokens = kStops;
         c.num_stop_tokens = std::size(kStops);
         cc.stop_tokens = {std::begin(kStops), std::end(kStops)};
       }},
      {"stop_strings",
       [](auto& c, auto& cc) {
         c.stop_strings = kTexts;
         c.num_stop_strings = 2;
         cc.stop_strings = {"e", "a"};
       }},
      {"min_new_tokens",
       [](auto& c, auto& cc) {
         c.stop_strings = kTexts;
         c.num_stop_strings = 2;
         cc.stop_strings = {"e", "a"};
         c.min_new_tokens = cc.min_new_tokens = 12;
       }},
      {"min_indent",
       [](auto& c, auto& cc) { c.min_indent = cc.lines.min_indent = 3; }},
      {"max_line_seconds",
       [](auto& c, auto& cc) {
         c.max_line_seconds = cc.lines.max_seconds = 1e-9;
       }},
      {"fill_sampling",
       [](auto& c, auto& cc) { c.fill_sampling = cc.fill_sampling = true; }},
      {"prompt_only",
       [](auto& c, auto& cc) {
         c.max_new_tokens = cc.max_new_tokens = 0;
         c.prompt_only = cc.prompt_only = true;
       }},
      {"speculate",
       [](auto& c, auto& cc) {
         c.speculate = false;
         cc.speculation = Speculation::kOff;
       }},
  };
  std::set<std::string> same_as_plain;
  std::string plain;
  for (size_t i = 0; i <= pairs.size(); ++i) {
    gemma_generate_options options = Initialized(gemma_generate_options_init);
    GenerateOptions same;
    options.max_new_tokens = same.max_new_tokens = 40;
    if (i == 0) {
      plain = AnswerBoth(options, same).text;
      ASSERT_FALSE(plain.empty());
      continue;
    }
    SCOPED_TRACE(pairs[i - 1].name);
    pairs[i - 1].set(options, same);
    if (AnswerBoth(options, same).text == plain) {
      same_as_plain.insert(pairs[i - 1].name);
    }
  }
  // All others change the toy's answer. It has no lines.
  EXPECT_THAT(same_as_plain, ::testing::IsSubsetOf({"speculate", "min_indent",
                                                    "max_line_seconds"}));
}

TEST(CGenerate, LinesAreLimited) {
  const char* const regex = "a\nb{9}";
  const auto grammar = Grammar::FromRegex(regex);
  ASSERT_TRUE(grammar.ok());
  const auto text = [&](size_t min_indent, double max_seconds) {
    gemma_generate_options options = Initialized(gemma_generate_options_init);
    options.grammar = GEMMA_GRAMMAR_REGEX;
    options.grammar_texts = &regex;
    options.num_grammar_texts = 1;
    options.min_indent = min_indent;
    options.max_line_seconds = max_seconds;
    GenerateOptions same;
    same.grammar = &*grammar;
    same.lines = {.min_indent = min_indent, .max_seconds = max_seconds};
    return AnswerBoth(options, same).text;
  };
  EXPECT_EQ(text(0, 0), "a\nbbbbbbbbb");
  EXPECT_EQ(text(1, 0), "a\n");
  EXPECT_EQ(text(0, 1e-9), "a\n");
}

TEST(CGenerate, FunctionsReceiveTheSame) {
  const CToy& toy = Gemma3Toy();
  const std::vector<int32_t> prompt = HelloPrompt(toy);
  static constexpr size_t kCheckpoints[] = {1, 3};
  Received expected, received;
  GenerateOptions same;
  same.max_new_tokens = 12;
  same.num_alternatives = 3;
  same.score_prompt = same.score_stop = true;
  same.checkpoints = {1, 3};
  same.on_token = [&](const ScoredToken& token) { AddScored(expected, token); };
  same.on_prompt = [&](size_t done, size_t total) {
    expected.progress.push_back({done, total});
  };
  same.on_control = [&](TokenId token) { expected.control.push_back(token); };
  Session session = NewSession(toy.same);
  ASSERT_TRUE(Generate(session, prompt, same, [&](std::string_view text) {
                expected.text += text;
                return true;
              }).ok());
  gemma_generate_options options = Initialized(gemma_generate_options_init);
  options.max_new_tokens = 12;
  options.num_alternatives = 3;
  options.score_prompt = options.score_stop = true;
  options.checkpoints = kCheckpoints;
  options.num_checkpoints = 2;
  options.on_token = AddScoredInC;
  options.on_prompt = ReceiveProgress;
  options.on_control = ReceiveControl;
  const CSequence made(toy);
  ASSERT_EQ(gemma_generate(made.session, prompt.data(), prompt.size(), &options,
                           ReceiveText, &received, nullptr),
            GEMMA_OK)
      << gemma_last_error();
  EXPECT_EQ(received, expected);
  EXPECT_GE(received.scored.size(), prompt.size());
  EXPECT_EQ(received.scored[1].size(), 2u + 2u * 3u);
  EXPECT_EQ(received.progress.back().first, prompt.size());
}

TEST(CGenerate, CompiledGrammarsConstrain) {
  const CToy& toy = Gemma3Toy();
  gemma_grammar_source source = Initialized(gemma_grammar_source_init);
  const char* const regex = "[0-9]{4}";
  source.kind = GEMMA_GRAMMAR_REGEX;
  source.texts = &regex;
  source.num_texts = 1;
  gemma_compiled_grammar* grammar = nullptr;
  ASSERT_EQ(gemma_grammar_compile(&source, &grammar), GEMMA_OK);
  const auto expected = Grammar::FromRegex(regex);
  ASSERT_TRUE(expected.ok());
  gemma_generate_options options = Initialized(gemma_generate_options_init);
  options.compiled_grammar = grammar;
  GenerateOptions same;
  same.grammar = &*expected;
  EXPECT_EQ(AnswerBoth(options, same).text.size(), 4u);
  options.grammar = GEMMA_GRAMMAR_JSON;
  const CSequence made(toy);
  const int32_t token = 2;
  ExpectRefused(gemma_generate(made.session, &token, 1, &options, nullptr,
                               nullptr, nullptr),
                "grammar is 1, wanted 0 with compiled_grammar");
  gemma_compiled_grammar_free(grammar);
}

TEST(CGenerate, NamesOfStopReasons) {
  for (size_t i = 0; i < kNumStopReasons; ++i) {
    EXPECT_EQ(gemma_stop_reason_name(static_cast<gemma_stop_reason>(i)),
              StopReasonName(static_cast<StopReason>(i)));
  }
  EXPECT_STREQ(gemma_stop_reason_name(GEMMA_STOP_GRAMMAR_END), "grammar_end");
  EXPECT_STREQ(gemma_stop_reason_name(GEMMA_STOP_MAX_TOKENS), "max_tokens");
  EXPECT_STREQ(gemma_stop_reason_name(static_cast<gemma_stop_reason>(7)), "");
}

TEST(CGenerate, NullListsAreRefused) {
  const CToy& toy = Gemma3Toy();
  const CSequence made(toy);
  const int32_t token = 2;
  const auto refuses = [&](const auto& set, const char* message) {
    gemma_generate_options options = Initialized(gemma_generate_options_init);
    set(options);
    ExpectRefused(gemma_generate(made.session, &token, 1, &options, nullptr,
                                 nullptr, nullptr),
                  message);
  };
  refuses([](auto& options) { options.num_stop_strings = 1; },
          "stop_strings is null");
  refuses([](auto& options) { options.num_logit_bias = 1; },
          "logit_bias is null");
  refuses([](auto& options) { options.num_checkpoints = 1; },
          "checkpoints is null");
  refuses([](auto& options) { options.num_stop_tokens = 1; },
          "stop_tokens is null");
  static constexpr const char* kNull[] = {nullptr};
  refuses(
      [](auto& options) {
        options.stop_strings = kNull;
        options.num_stop_strings = 1;
      },
      "stop_strings[0] is null");
  // Wrong values are errors of the library.
  gemma_generate_options options = Initialized(gemma_generate_options_init);
  options.prompt_only = true;
  options.max_new_tokens = 1;
  EXPECT_EQ(gemma_generate(made.session, &token, 1, &options, nullptr, nullptr,
                           nullptr),
            GEMMA_INVALID_ARGUMENT);
  EXPECT_THAT(gemma_last_error(), HasSubstr("max_new_tokens"));
  options = Initialized(gemma_generate_options_init);
  options.repetition_penalty = 0;
  EXPECT_EQ(gemma_generate(made.session, &token, 1, &options, nullptr, nullptr,
                           nullptr),
            GEMMA_INVALID_ARGUMENT);
  EXPECT_THAT(gemma_last_error(), HasSubstr("repetition_penalty"));
  EXPECT_EQ(gemma_session_position(made.session), 0u);
}

}  // namespace
}  // namespace gemma::internal
