// The least number of tokens, limits of lines, and the last step for gaps.

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/generate/fill_step.h"
#include "src/generate/line_filter.h"
#include "tests/support/error_of.h"
#include "tests/support/hostile_model.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A model that says these pieces in order, again and again or once, then <eos>.
Model SayingModel(std::vector<std::string> pieces, bool repeats) {
  for (std::string& piece : pieces) {
    piece = absl::StrReplaceAll(piece, {{" ", "\u2581"}});
  }
  std::map<TokenId, TokenId> next = {{2, kFirstPiece}};
  for (size_t i = 1; i < pieces.size(); ++i) {
    const auto token = static_cast<TokenId>(kFirstPiece + i);
    next[token - 1] = token;
    if (repeats) next[token] = kFirstPiece;
  }
  const std::string path = TestDirectory() + "/saying.gguf";
  WriteFile(path, ScriptedModel(pieces, next));
  return LoadOrDie(path, {.num_threads = 1});
}

struct Said {
  std::string text;
  GenerateStats stats;
  std::string error;
};

Said Say(const Model& model, GenerateOptions options) {
  if (!options.fill_sampling) options.sampling.temperature = 0;
  Session session = NewSession(model, {.max_tokens = 64});
  Said said;
  const auto stats = Generate(session, {2}, options, [&](std::string_view t) {
    said.text += t;
    return true;
  });
  said.error = ErrorOf(stats);
  if (stats.ok()) said.stats = *stats;
  return said;
}

TEST(MinNewTokens, NoStopComesBefore) {
  const Model once = SayingModel({"a", "b", "c"}, false);
  EXPECT_EQ(Say(once, {}).stats.new_tokens, 3);
  for (const size_t least : {1, 3, 4, 9}) {
    const Said said = Say(once, {.max_new_tokens = 9, .min_new_tokens = least});
    EXPECT_GE(said.stats.new_tokens, std::max<size_t>(least, 3));
    EXPECT_EQ(said.text.substr(0, 3), "abc");
  }
  const Model again = SayingModel({"a", "b", "c"}, true);
  GenerateOptions options = {.max_new_tokens = 9, .stop_strings = {"b"}};
  EXPECT_EQ(Say(again, options).text, "a");
  options.min_new_tokens = 1;
  EXPECT_EQ(Say(again, options).text, "a");
  options.min_new_tokens = 2;  // the "b" among these is text
  EXPECT_EQ(Say(again, options).text, "abca");
  options.stop_strings = {"bc"};  // and so is one that begins there
  EXPECT_EQ(Say(again, options).text, "abca");
  options.min_new_tokens = 10;
  EXPECT_THAT(Say(again, options).error,
              HasSubstr("min_new_tokens is 10, wanted at most"));
}

TEST(MinNewTokens, StopsCountAfterwards) {
  const Model again = SayingModel({"a", "b", "c"}, true);
  GenerateOptions options = {.max_new_tokens = 20, .min_new_tokens = 5};
  options.stop_tokens = {kFirstPiece + 1};
  // No "b" within the first five; what comes instead may be any token.
  const Said said = Say(again, options);
  EXPECT_GE(said.stats.new_tokens, 5);
  EXPECT_EQ(said.text[0], 'a');
  EXPECT_NE(said.text[1], 'b');
  absl::StatusOr<Grammar> grammar = Grammar::FromRegex("a[abc]*");
  ASSERT_EQ(ErrorOf(grammar), "OK");
  options.grammar = &*grammar;
  const Said within = Say(again, options);
  EXPECT_EQ(within.error, "OK");
  EXPECT_GE(within.stats.new_tokens, 5);
  // A grammar that allows no more text ends the answer.
  grammar = Grammar::FromRegex("ac");
  options.grammar = &*grammar;
  EXPECT_EQ(Say(again, options).text, "ac");
}

TEST(LineLimitsTest, ShortIndentsEndAnswers) {
  const auto text = [](const std::vector<std::string>& pieces, size_t indent) {
    const Model model = SayingModel(pieces, false);
    GenerateOptions options;
    options.lines.min_indent = indent;
    const Said said = Say(model, options);
    return said.text +
           (said.stats.stop_reason == StopReason::kStopString ? "|" : "");
  };
  EXPECT_EQ(text({"if x:\n", "  a\n", "  \t", "b\n", " c", "d"}, 2),
            "if x:\n  a\n  \tb\n|");
  EXPECT_EQ(text({"if x:\n", "  a\n", " ", "b"}, 1), "if x:\n  a\n b");
  // The first line may begin anywhere; an empty line has no blanks.
  EXPECT_EQ(text({"x", "\n", "\n  y"}, 1), "x\n|");
  EXPECT_EQ(text({"x\n\n  y"}, 0), "x\n\n  y");
  EXPECT_EQ(text({"x\n y\nz"}, 1), "x\n y\n|");
  // A line that the answer's end cuts short is kept.
  EXPECT_EQ(text({"x\n", " "}, 4), "x\n ");
}

TEST(LineLimitsTest, LateLinesEndAnswers) {
  const Model model = SayingModel({"a", "b\n", "c", "d\n", "e"}, false);
  GenerateOptions options;
  options.lines.max_seconds = 1e-9;
  const Said late = Say(model, options);
  EXPECT_EQ(late.text, "ab\n");
  EXPECT_EQ(late.stats.stop_reason, StopReason::kDeadline);
  options.lines.max_seconds = 3600;
  EXPECT_EQ(Say(model, options).text, "ab\ncd\ne");
  options.lines.max_seconds = -1;
  EXPECT_THAT(Say(model, options).error, HasSubstr("max_seconds of lines is"));
}

TEST(LineLimitsTest, ReadersMayEndLines) {
  const LineLimits limits = {.min_indent = 1};
  std::string text;
  const StopFilter::TextFunction read = [&](std::string_view part) {
    text += part;
    return text.size() < 3;
  };
  LineFilter filter(limits, read);
  EXPECT_TRUE(filter.Append("a\n"));
  EXPECT_FALSE(filter.Append(" b"));
  EXPECT_FALSE(filter.Append("c\nd"));
  filter.Flush();
  EXPECT_EQ(text, "a\n b");
  EXPECT_EQ(filter.ended(), std::nullopt);
}

// The pieces of candidates and their probabilities, and what is kept of them.
std::string KeptOf(const Model& model, std::vector<TokenId> tokens,
                   std::vector<double> weights) {
  const std::vector<TokenId> stops = {1};
  std::vector<TokenLogit> candidates;
  for (const TokenId token : tokens) candidates.push_back({token, 0.0f});
  FillStep(**model.tokenizer(), stops)(candidates, weights);
  EXPECT_EQ(candidates.size(), weights.size());
  std::string kept;
  for (const TokenLogit& c : candidates) {
    kept +=
        c.token == 1 ? "<eos>" : (*model.tokenizer())->Decode({&c.token, 1});
  }
  return kept;
}

TEST(FillStepTest, KeepsWhatIsLikely) {
  const Model model = SayingModel({"a", "ab", "b", "c"}, false);
  constexpr TokenId kA = kFirstPiece, kAb = kA + 1, kB = kA + 2, kC = kA + 3;
  // 3 * 3 * 0.1 > 0.9 is false, with a little more it is true.
  EXPECT_EQ(KeptOf(model, {kA, kB, 1}, {0.5, 0.405, 0.095}), "ab<eos>");
  EXPECT_EQ(KeptOf(model, {kA, kB, 1}, {0.5, 0.395, 0.105}), "<eos>");
  // Below 0.2; and then below 1 / (2 + 1) of what is left.
  EXPECT_EQ(KeptOf(model, {kA, kB, kC}, {0.5, 0.4, 0.1}), "ab");
  EXPECT_EQ(KeptOf(model, {kA, kB, kC}, {0.62, 0.28, 0.1}), "a");
  // "a" begins "ab": together they have 0.6, which the more probable one gets.
  EXPECT_EQ(KeptOf(model, {kB, kAb, kA}, {0.4, 0.35, 0.25}), "bab");
  EXPECT_EQ(KeptOf(model, {kC, kAb, kA, kB}, {0.4, 0.15, 0.15, 0.3}), "cab");
  // No text is likely enough.
  const Model many = SayingModel({"c", "d", "e", "f", "g", "h"}, false);
  EXPECT_EQ(KeptOf(many, {kA, kA + 1, kA + 2, kA + 3, kA + 4, kA + 5},
                   {0.18, 0.18, 0.17, 0.17, 0.15, 0.15}),
            "<eos>");
}

TEST(FillStepTest, EndsAnswersOfSessions) {
  const Model once = SayingModel({"a", "b", "c"}, false);
  GenerateOptions options = {.max_new_tokens = 9, .fill_sampling = true};
  EXPECT_EQ(Say(once, options).text, "abc");
  options.sampling.top_k = 0;
  EXPECT_THAT(Say(once, options).error, HasSubstr("top_k is 0, wanted 1 to"));
  options.sampling.top_k = 40;
  options.min_new_tokens = 2;
  EXPECT_THAT(Say(once, options).error,
              HasSubstr("fill_sampling may end the answer anywhere"));
}

TEST(SamplerLastStep, DropsCandidates) {
  SamplingOptions options = {.top_k = 3, .top_p = 1.0f};
  Sampler sampler(options);
  std::vector<size_t> sizes;
  sampler.set_last_step(
      [&](std::vector<TokenLogit>& candidates, std::vector<double>& weights) {
        sizes.push_back(candidates.size());
        candidates.erase(candidates.begin());
        weights.erase(weights.begin());
        candidates.resize(1);
        weights.resize(1);
      });
  std::vector<float> logits = {1, 4, 3, 2};
  EXPECT_EQ(sampler.Sample(absl::MakeSpan(logits)), 2);
  EXPECT_THAT(sizes, ElementsAre(3));
}

}  // namespace
}  // namespace gemma::internal
