// Compares probabilities with transformers' and checks how much is computed.

#include "gemma/classifier.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/classify/shield_toy.h"
#include "tests/support/error_of.h"
#include "tests/support/hostile_model.h"
#include "tests/support/tiny_files.h"

namespace gemma::internal {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Classifier NewClassifier(const Model& model, ClassifierOptions options = {}) {
  auto classifier = Classifier::Create(model, std::move(options));
  EXPECT_EQ(ErrorOf(classifier), "OK");
  return *std::move(classifier);
}

// Returns `count` words, different for each seed.
std::string Words(size_t count, size_t seed = 0) {
  static constexpr const char* kWords[] = {"the", "of", "when", "user", "not",
                                           "up",  "is", "more", "have"};
  std::string text;
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) text += " ";
    text += kWords[(i * i + seed * (i + 1)) % std::size(kWords)];
  }
  return text;
}

// Returns the probabilities, each from a new classifier.
std::vector<double> Alone(const Model& model, const ClassifierInput& input,
                          absl::Span<const Policy> policies) {
  std::vector<double> probabilities;
  for (const Policy& policy : policies) {
    const auto result = NewClassifier(model).Classify(input, {&policy, 1});
    EXPECT_EQ(ErrorOf(result), "OK");
    probabilities.push_back(result.ok() ? (*result)[0] : -1);
  }
  return probabilities;
}

TEST(Classifier, OutlivesItsModel) {
  const std::string text = Words(5);
  const ClassifierInput input = {text};
  const absl::Span<const Policy> policies = ShieldPolicies();
  auto model = std::make_unique<Model>(LoadShield());
  const std::vector<double> expected = Alone(*model, input, policies);
  Classifier classifier = NewClassifier(*model);
  { const Model moved = std::move(*model); }
  model.reset();
  const auto found = classifier.Classify(input, policies);
  ASSERT_EQ(ErrorOf(found), "OK");
  EXPECT_EQ(*found, expected);
}

// Returns the number of distinct prefixes of the prompts: the tokens to compute
// if every common prefix is computed once.
size_t DistinctTokens(const std::vector<std::vector<TokenId>>& prompts) {
  std::set<std::vector<TokenId>> prefixes;
  for (const std::vector<TokenId>& prompt : prompts) {
    for (size_t size = 1; size <= prompt.size(); ++size) {
      prefixes.emplace(prompt.begin(), prompt.begin() + size);
    }
  }
  return prefixes.size();
}

// Returns the number of tokens that all prompts begin with.
size_t Common(const std::vector<std::vector<TokenId>>& prompts) {
  size_t common = prompts[0].size();
  for (const std::vector<TokenId>& prompt : prompts) {
    common = std::mismatch(prompt.begin(), prompt.end(), prompts[0].begin(),
                           prompts[0].begin() + common)
                 .first -
             prompt.begin();
  }
  return common;
}

TEST(Classifier, ProbabilitiesEqualTransformers) {
  const Model model = LoadShield();
  for (const ShieldCase& c : ReadShieldCases()) {
    SCOPED_TRACE(c.prompt);
    Classifier classifier = NewClassifier(
        model, {.wording = c.wording, .cache_format = CacheFormat::kFloat32});
    EXPECT_EQ(classifier.stats().least_answer_mass, 1);
    const auto result = classifier.Classify(c.input(), {&c.policy, 1});
    ASSERT_EQ(ErrorOf(result), "OK");
    ASSERT_EQ(result->size(), 1u);
    EXPECT_NEAR((*result)[0], c.probability, 1e-5);
    EXPECT_NEAR(classifier.stats().least_answer_mass, c.mass, 1e-5);
  }
}

// With a chunk of 16, the rings are so small that the policies' words overrun
// them: only a checkpoint leads back. With a chunk of 1024, they hold the whole
// prompt.
class ClassifierOfChunk : public ::testing::TestWithParam<size_t> {
 protected:
  const Model model_ = LoadShield(GetParam());
};

INSTANTIATE_TEST_SUITE_P(Chunks, ClassifierOfChunk,
                         ::testing::Values(16, 100, 1024),
                         ::testing::PrintToStringParamName());

TEST_P(ClassifierOfChunk, PoliciesTogetherAsAlone) {
  const std::string response = Words(20, 3);
  for (const size_t words : {0, 5, 300}) {
    const std::string text = Words(words);
    for (const bool with_response : {false, true}) {
      ClassifierInput input = {text, std::nullopt};
      if (with_response) input.response = response;
      Classifier classifier = NewClassifier(model_);
      const auto together = classifier.Classify(input, ShieldPolicies());
      ASSERT_EQ(ErrorOf(together), "OK");
      EXPECT_EQ(*together, Alone(model_, input, ShieldPolicies()));
      // The same policies in reverse order, in a session that is not new.
      std::vector<Policy> reversed = ShieldPolicies();
      std::reverse(reversed.begin(), reversed.end());
      const auto again = classifier.Classify(input, reversed);
      ASSERT_EQ(ErrorOf(again), "OK");
      EXPECT_EQ(std::vector<double>(again->rbegin(), again->rend()), *together);
    }
  }
}

TEST_P(ClassifierOfChunk, SharedPrefixComputedOnce) {
  for (const size_t words : {1, 40, 300}) {
    const std::string text = Words(words);
    const ClassifierInput input = {text, std::nullopt};
    Classifier classifier = NewClassifier(model_);
    std::vector<std::vector<TokenId>> prompts;
    size_t prompt_tokens = 0;
    for (const Policy& policy : ShieldPolicies()) {
      const auto prompt = classifier.Prompt(input, policy);
      ASSERT_EQ(ErrorOf(prompt), "OK");
      prompts.push_back(*prompt);
      prompt_tokens += prompt->size();
    }
    ASSERT_EQ(ErrorOf(classifier.Classify(input, ShieldPolicies())), "OK");
    const ClassifierStats& stats = classifier.stats();
    EXPECT_EQ(stats.num_prompts, 4u);
    EXPECT_EQ(stats.prompt_tokens, prompt_tokens);
    if (GetParam() == 1024) {
      EXPECT_EQ(stats.computed_tokens, DistinctTokens(prompts));
    } else {
      // The prefix that all prompts share is computed once, but a prefix that
      // only two share is computed twice.
      const size_t common = Common(prompts);
      EXPECT_EQ(stats.computed_tokens, prompt_tokens - 3 * common);
      EXPECT_GT(common, words);
    }
  }
}

TEST_P(ClassifierOfChunk, InputsTogetherAsAlone) {
  std::vector<std::string> texts;
  for (size_t i = 0; i < 12; ++i) texts.push_back(Words(7 * (i * 5 % 12), i));
  std::vector<ClassifierInput> inputs;
  for (const std::string& text : texts) inputs.push_back({text, std::nullopt});
  // Several responses to one prompt.
  for (size_t i = 0; i < 3; ++i) inputs.push_back({texts[4], texts[i]});
  const std::vector<Policy> policies(ShieldPolicies().begin() + 1,
                                     ShieldPolicies().begin() + 3);

  Classifier classifier = NewClassifier(model_);
  const auto results = classifier.ClassifyAll(inputs, policies);
  ASSERT_EQ(results.size(), inputs.size());
  std::vector<std::vector<TokenId>> prompts;
  for (size_t i = 0; i < inputs.size(); ++i) {
    SCOPED_TRACE(i);
    ASSERT_EQ(ErrorOf(results[i]), "OK");
    EXPECT_EQ(*results[i], Alone(model_, inputs[i], policies));
    for (const Policy& policy : policies) {
      prompts.push_back(*classifier.Prompt(inputs[i], policy));
    }
  }
  const size_t least = DistinctTokens(prompts);
  if (GetParam() == 1024) {
    EXPECT_EQ(classifier.stats().computed_tokens, least);
  } else {
    // After a long text, the session may be unable to go back to its first
    // words.
    EXPECT_LT(classifier.stats().computed_tokens, least + least / 10);
  }
  // The same inputs again, one of them twice.
  inputs = {inputs[3], inputs[2], inputs[3]};
  const auto again = classifier.ClassifyAll(inputs, policies);
  for (size_t i = 0; i < inputs.size(); ++i) {
    ASSERT_EQ(ErrorOf(again[i]), "OK");
    EXPECT_EQ(*again[i], *results[i == 1 ? 2 : 3]);
  }
}

TEST(Classifier, TooLongFailsAlone) {
  const Model model = LoadShield();
  const std::string fits = Words(10);
  const std::string too_long = Words(2000);
  const std::vector<ClassifierInput> inputs = {{fits, std::nullopt},
                                               {too_long, std::nullopt},
                                               {fits, too_long},
                                               {fits, fits}};
  Classifier classifier = NewClassifier(model, {.max_tokens = 1500});
  const auto results = classifier.ClassifyAll(inputs, ShieldPolicies());
  ASSERT_EQ(results.size(), 4u);
  EXPECT_EQ(*results[0], Alone(model, inputs[0], ShieldPolicies()));
  EXPECT_EQ(*results[3], Alone(model, inputs[3], ShieldPolicies()));
  for (const size_t i : {1, 2}) {
    EXPECT_EQ(results[i].status().code(), absl::StatusCode::kOutOfRange);
    EXPECT_THAT(ErrorOf(results[i]),
                AllOf(HasSubstr("the prompt for the policy 'dangerous' has 2"),
                      HasSubstr(" tokens, the context has room for 1500")));
  }
  EXPECT_EQ(classifier.Prompt(inputs[1], ShieldPolicies()[0]).status(),
            results[1].status());
}

TEST(Classifier, FillsWholeContext) {
  const Model model = LoadShield();
  const ClassifierInput input = {"x", std::nullopt};
  const Policy& policy = ShieldPolicies()[0];
  const size_t size = NewClassifier(model).Prompt(input, policy)->size();
  for (const size_t room : {size - 1, size, size + 1}) {
    const auto result = NewClassifier(model, {.max_tokens = room})
                            .Classify(input, {&policy, 1});
    EXPECT_EQ(result.ok(), room >= size) << room;
  }
}

TEST(Classifier, GrowsForLongTexts) {
  const Model model = LoadShield();
  const std::string text = Words(1500);
  const ClassifierInput input = {text, "x"};
  Classifier classifier = NewClassifier(model);
  ASSERT_EQ(ErrorOf(classifier.Classify({"x", "y"}, ShieldPolicies())), "OK");
  const auto result = classifier.Classify(input, ShieldPolicies());
  ASSERT_EQ(ErrorOf(result), "OK");
  EXPECT_EQ(*result, Alone(model, input, ShieldPolicies()));
}

TEST(Classifier, PoliciesNeedRules) {
  const Model model = LoadShield();
  Classifier classifier = NewClassifier(model);
  EXPECT_EQ(ErrorOf(classifier.Classify({"x", std::nullopt}, {})),
            "there are no policies, wanted 1 or more");
  const std::vector<Policy> policies = {ShieldPolicies()[0],
                                        {"mine", "M", "", "No."}};
  EXPECT_EQ(ErrorOf(classifier.Classify({"x", std::nullopt}, policies)),
            "the policy 'mine' has no rule for prompts");
  EXPECT_EQ(ErrorOf(classifier.Classify({"x", "y"}, policies)), "OK");
  EXPECT_TRUE(classifier.ClassifyAll({}, policies).empty());
}

TEST(Classifier, ProgressCancels) {
  const Model model = LoadShield();
  std::vector<std::pair<size_t, size_t>> calls;
  size_t most = 100;
  Classifier classifier =
      NewClassifier(model, {.progress = [&](size_t done, size_t total) {
                      calls.push_back({done, total});
                      return done < most;
                    }});
  const std::vector<ClassifierInput> inputs = {{"the", std::nullopt},
                                               {"of", std::nullopt}};
  const std::vector<Policy> policies(ShieldPolicies().begin(),
                                     ShieldPolicies().begin() + 2);
  const auto results = classifier.ClassifyAll(inputs, policies);
  EXPECT_THAT(calls, ElementsAre(std::pair(0, 4), std::pair(1, 4),
                                 std::pair(2, 4), std::pair(3, 4)));
  // Inputs are sorted, and "the" comes first in the vocabulary.
  most = 2;
  const auto cut = classifier.ClassifyAll(inputs, policies);
  EXPECT_EQ(cut[1].status().code(), absl::StatusCode::kCancelled);
  ASSERT_EQ(ErrorOf(cut[0]), "OK");
  EXPECT_EQ(*cut[0], *results[0]);
  // The classifier still works after it was cancelled.
  most = 100;
  const auto again = classifier.ClassifyAll(inputs, policies);
  ASSERT_EQ(ErrorOf(again[1]), "OK");
  EXPECT_EQ(*again[1], *results[1]);
}

// A model that is certain of `next` after a prompt.
class ScriptedClassifier : public ::testing::Test {
 protected:
  static constexpr TokenId kNewline = kFirstByte + '\n';
  static constexpr TokenId kYes = kFirstPiece + 2;

  absl::StatusOr<std::vector<double>> Classify(
      const std::vector<std::string>& pieces, TokenId next,
      float weight = 10.0f) {
    Bytes bytes = ScriptedModel(pieces, {{kNewline, next}});
    const float found = 10.0f;  // in the head
    for (size_t i = 0; i + sizeof(found) <= bytes.size(); i += sizeof(found)) {
      if (std::memcmp(&bytes[i], &found, sizeof(found)) == 0) {
        std::memcpy(&bytes[i], &weight, sizeof(weight));
      }
    }
    const std::string path = TestDirectory() + "/m.gguf";
    WriteFile(path, bytes);
    model_.emplace(LoadExact(path));
    auto classifier = Classifier::Create(*model_);
    if (!classifier.ok()) return classifier.status();
    return classifier->Classify({"x", std::nullopt},
                                {ShieldPolicies().data(), 1});
  }

  std::optional<Model> model_;
};

TEST_F(ScriptedClassifier, ComparesOnlyYesNo) {
  const std::vector<std::string> pieces = {"<start_of_turn>", "<end_of_turn>",
                                           "Yes", "No"};
  auto result = Classify(pieces, kYes);
  ASSERT_EQ(ErrorOf(result), "OK");
  EXPECT_GT((*result)[0], 0.99);
  result = Classify(pieces, kYes + 1);
  ASSERT_EQ(ErrorOf(result), "OK");
  EXPECT_LT((*result)[0], 0.01);
  // Another token has nearly all of the probability.
  result = Classify(pieces, kFirstByte);
  ASSERT_EQ(ErrorOf(result), "OK");
  EXPECT_EQ((*result)[0], 0.5);
}

TEST_F(ScriptedClassifier, RefusesNonFiniteLogits) {
  const std::vector<std::string> pieces = {"<start_of_turn>", "<end_of_turn>",
                                           "Yes", "No"};
  for (const float weight : {std::numeric_limits<float>::quiet_NaN(),
                             std::numeric_limits<float>::infinity()}) {
    const auto result = Classify(pieces, kYes, weight);
    EXPECT_EQ(result.status().code(), absl::StatusCode::kDataLoss);
    EXPECT_EQ(ErrorOf(result),
              "the model's logits are not finite: tensor 'output.weight' has a "
              "value that is not finite");
  }
}

TEST_F(ScriptedClassifier, RefusesOtherModels) {
  for (const auto& [pieces, says] :
       std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"<start_of_turn>", "<end_of_turn>", "Yes"},
            "the vocabulary has no piece 'No', wanted the answers Yes and No "
            "as "
            "one token: the model is not a ShieldGemma"},
           {{"<start_of_turn>", "<end_of_turn>", "No"}, "no piece 'Yes'"},
           {{"<end_of_turn>", "Yes", "No"}, "no piece '<start_of_turn>'"},
           {{"<start_of_turn>", "Yes", "No"}, "no piece '<end_of_turn>'"}}) {
    const auto result = Classify(pieces, kFirstByte);
    EXPECT_EQ(result.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(ErrorOf(result), HasSubstr(says));
  }
}

TEST(Classifier, NeedsTokenizerAndWeights) {
  const Model no_tokenizer = LoadExact(ToyPath("gemma2"));
  EXPECT_EQ(Classifier::Create(no_tokenizer).status().code(),
            absl::StatusCode::kFailedPrecondition);
  LoadOptions options;
  options.skip_weights = true;
  const Model no_weights = LoadOrDie(ShieldFile("shield.gguf"), options);
  EXPECT_EQ(ErrorOf(Classifier::Create(no_weights)),
            "the model was loaded without its weights");
  const Model model = LoadShield();
  EXPECT_THAT(ErrorOf(Classifier::Create(model, {.max_tokens = 0})),
              HasSubstr("max_tokens is 0"));
}

TEST(Classifier, Moves) {
  const Model model = LoadShield();
  Classifier a = NewClassifier(model);
  const auto before = a.Classify({"x", std::nullopt}, ShieldPolicies());
  Classifier b = std::move(a);
  const auto after = b.Classify({"x", std::nullopt}, ShieldPolicies());
  ASSERT_TRUE(before.ok() && after.ok());
  EXPECT_EQ(*after, *before);
  EXPECT_EQ(b.stats().num_prompts, 8u);
}

}  // namespace
}  // namespace gemma::internal
