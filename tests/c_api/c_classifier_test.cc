// Tests that ShieldGemma classifies in C as in C++.

#include "gemma/c_classifier.h"

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/c_api/c_toys.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

gemma_text TextOfC(const char* text) {
  return {text, text == nullptr ? 0 : std::strlen(text)};
}

class CClassifier : public ::testing::Test {
 protected:
  CClassifier() : same_(*Classifier::Create(toy_.same)) {
    EXPECT_EQ(gemma_classifier_create(toy_.model, nullptr, &classifier_),
              GEMMA_OK)
        << gemma_last_error();
    EXPECT_EQ(gemma_policies_shield(&policies_), GEMMA_OK);
    items_ = gemma_policies_items(policies_, &count_);
  }
  ~CClassifier() override {
    gemma_policies_free(policies_);
    gemma_classifier_free(classifier_);
  }

  CToy toy_{TestFile("classify/shield.gguf")};
  Classifier same_;
  gemma_classifier* classifier_ = nullptr;
  gemma_policies* policies_ = nullptr;
  const gemma_policy* items_ = nullptr;
  size_t count_ = 0;
};

TEST_F(CClassifier, PoliciesEqualLibrary) {
  const auto& expected = ShieldPolicies();
  ASSERT_EQ(count_, expected.size());
  for (size_t i = 0; i < count_; ++i) {
    EXPECT_EQ(items_[i].name, expected[i].name);
    EXPECT_EQ(items_[i].title, expected[i].title);
    EXPECT_EQ(items_[i].prompt_rule, expected[i].prompt_rule);
    EXPECT_EQ(items_[i].response_rule, expected[i].response_rule);
  }
  gemma_policies* parsed = nullptr;
  ASSERT_EQ(gemma_policies_parse(
                R"([{"name": "a", "title": "A", "prompt_rule": "No a."}])",
                nullptr, &parsed),
            GEMMA_OK);
  size_t size = 0;
  const gemma_policy* items = gemma_policies_items(parsed, &size);
  ASSERT_EQ(size, 1u);
  EXPECT_STREQ(items[0].prompt_rule, "No a.");
  EXPECT_STREQ(items[0].response_rule, "");
  gemma_policies_free(parsed);
  EXPECT_EQ(gemma_policies_parse("7", "here.json", &parsed),
            GEMMA_INVALID_ARGUMENT);
  EXPECT_THAT(gemma_last_error(), HasSubstr("here.json"));
}

TEST_F(CClassifier, ProbabilitiesEqualClassifier) {
  std::vector<double> probabilities(count_);
  for (const char* response :
       {static_cast<const char*>(nullptr), "the cat", ""}) {
    const gemma_classifier_input input = {TextOfC("hello"), TextOfC(response)};
    ClassifierInput same = {"hello", std::nullopt};
    if (response != nullptr) same.response = response;
    const auto expected = same_.Classify(same, ShieldPolicies());
    ASSERT_TRUE(expected.ok());
    ASSERT_EQ(gemma_classify(classifier_, &input, items_, count_,
                             probabilities.data()),
              GEMMA_OK)
        << gemma_last_error();
    EXPECT_EQ(probabilities, *expected);
    std::vector<int32_t> tokens(2000);
    size_t size = 0;
    ASSERT_EQ(gemma_classifier_prompt(classifier_, &input, &items_[1],
                                      tokens.data(), tokens.size(), &size),
              GEMMA_OK);
    tokens.resize(size);
    EXPECT_EQ(tokens, *same_.Prompt(same, ShieldPolicies()[1]));
  }
  gemma_classifier_stats stats = Initialized(gemma_classifier_stats_init);
  ASSERT_EQ(gemma_classifier_get_stats(classifier_, &stats), GEMMA_OK);
  EXPECT_EQ(stats.num_prompts, same_.stats().num_prompts);
  EXPECT_EQ(stats.prompt_tokens, same_.stats().prompt_tokens);
  EXPECT_EQ(stats.computed_tokens, same_.stats().computed_tokens);
  EXPECT_EQ(stats.least_answer_mass, same_.stats().least_answer_mass);
}

TEST_F(CClassifier, BadInputStopsNone) {
  gemma_classifier_options options = Initialized(gemma_classifier_options_init);
  options.max_tokens = 4000;
  options.wording = GEMMA_SHIELD_EXAMPLE_CODE;
  gemma_classifier* small = nullptr;
  ASSERT_EQ(gemma_classifier_create(toy_.model, &options, &small), GEMMA_OK);
  const std::string longer(4000, 'x');
  const gemma_classifier_input inputs[] = {
      {TextOfC("hello"), {nullptr, 0}},
      {{longer.data(), longer.size()}, {nullptr, 0}},
      {TextOfC("the cat"), TextOfC("hello")}};
  std::vector<double> probabilities(3 * count_);
  gemma_status statuses[3];
  EXPECT_EQ(gemma_classify_all(small, inputs, 3, items_, count_,
                               probabilities.data(), statuses),
            GEMMA_OUT_OF_RANGE);
  EXPECT_EQ(statuses[0], GEMMA_OK);
  EXPECT_EQ(statuses[1], GEMMA_OUT_OF_RANGE);
  EXPECT_EQ(statuses[2], GEMMA_OK);
  auto same = Classifier::Create(
      toy_.same, {.wording = ShieldWording::kExampleCode, .max_tokens = 4000});
  ASSERT_TRUE(same.ok());
  const auto first = same->Classify({"hello", std::nullopt}, ShieldPolicies());
  const auto last = same->Classify({"the cat", "hello"}, ShieldPolicies());
  ASSERT_TRUE(first.ok() && last.ok());
  for (size_t i = 0; i < count_; ++i) {
    EXPECT_EQ(probabilities[i], (*first)[i]);
    EXPECT_TRUE(std::isnan(probabilities[count_ + i]));
    EXPECT_EQ(probabilities[2 * count_ + i], (*last)[i]);
  }
  gemma_classifier_free(small);
}

TEST_F(CClassifier, EngineClassifies) {
  gemma_engine* engine = nullptr;
  ASSERT_EQ(gemma_engine_create(toy_.model, nullptr, &engine), GEMMA_OK);
  const gemma_classifier_input input = {TextOfC("hello"), {nullptr, 0}};
  std::vector<gemma_ticket*> tickets(count_);
  ASSERT_EQ(gemma_classifier_submit(classifier_, engine, &input, items_, count_,
                                    "me", tickets.data()),
            GEMMA_OK)
      << gemma_last_error();
  std::vector<double> expected(count_);
  ASSERT_EQ(
      gemma_classify(classifier_, &input, items_, count_, expected.data()),
      GEMMA_OK);
  for (size_t i = 0; i < count_; ++i) {
    double probability = 0, mass = 0;
    ASSERT_EQ(gemma_ticket_classification(tickets[i], &probability, &mass),
              GEMMA_OK);
    EXPECT_DOUBLE_EQ(probability, expected[i]);
    EXPECT_GT(mass, 0);
    EXPECT_LE(mass, 1 + 1e-6);
    ExpectRefused(gemma_ticket_classification(tickets[i], nullptr, nullptr),
                  "probability is null");
    gemma_ticket_free(tickets[i]);
  }
  gemma_ticket* none = nullptr;
  ExpectRefused(
      gemma_classifier_submit(nullptr, engine, &input, items_, 1, "", &none),
      "classifier is null");
  ExpectRefused(gemma_classifier_submit(classifier_, nullptr, &input, items_, 1,
                                        "", &none),
                "engine is null");
  ExpectRefused(gemma_classifier_submit(classifier_, engine, nullptr, items_, 1,
                                        "", &none),
                "input is null");
  ExpectRefused(gemma_classifier_submit(classifier_, engine, &input, nullptr, 1,
                                        "", &none),
                "policies is null");
  ExpectRefused(gemma_classifier_submit(classifier_, engine, &input, items_, 1,
                                        "", nullptr),
                "tickets is null");
  EXPECT_EQ(none, nullptr);
  gemma_engine_free(engine);
}

TEST_F(CClassifier, EngineOfAnotherModel) {
  gemma_engine* engine = nullptr;
  ASSERT_EQ(gemma_engine_create(Gemma3Toy().model, nullptr, &engine), GEMMA_OK);
  const gemma_classifier_input input = {TextOfC("hello"), {nullptr, 0}};
  gemma_ticket* none = nullptr;
  ExpectRefused(gemma_classifier_submit(classifier_, engine, &input, items_, 1,
                                        "", &none),
                "engine computes another model, wanted the classifier's");
  EXPECT_EQ(none, nullptr);
  gemma_engine_free(engine);
}

TEST_F(CClassifier, NullPointersAreRefused) {
  gemma_policies* list = nullptr;
  gemma_classifier* none = nullptr;
  gemma_classifier_stats stats = Initialized(gemma_classifier_stats_init);
  const gemma_classifier_input input = {TextOfC("hello"), {nullptr, 0}};
  const gemma_classifier_input no_text = {{nullptr, 1}, {nullptr, 0}};
  const gemma_classifier_input no_response = {{nullptr, 0}, {nullptr, 1}};
  gemma_policy policy = items_[0];
  double value = 0;
  int32_t token = 0;
  size_t size = 0;
  ExpectRefused(gemma_policies_shield(nullptr), "policies is null");
  ExpectRefused(gemma_policies_parse(nullptr, nullptr, &list), "json is null");
  ExpectRefused(gemma_policies_parse("[]", nullptr, nullptr),
                "policies is null");
  ExpectRefused(gemma_classifier_create(nullptr, nullptr, &none),
                "model is null");
  ExpectRefused(gemma_classifier_create(toy_.model, nullptr, nullptr),
                "classifier is null");
  ExpectRefused(gemma_classify(nullptr, &input, items_, 1, &value),
                "classifier is null");
  ExpectRefused(gemma_classify(classifier_, nullptr, items_, 1, &value),
                "input is null");
  ExpectRefused(gemma_classify(classifier_, &input, nullptr, 1, &value),
                "policies is null");
  ExpectRefused(gemma_classify(classifier_, &input, items_, 1, nullptr),
                "probabilities is null");
  ExpectRefused(gemma_classify(classifier_, &no_text, items_, 1, &value),
                "input.text.text is null");
  ExpectRefused(gemma_classify(classifier_, &no_response, items_, 1, &value),
                "input.response.text is null");
  policy.title = nullptr;
  ExpectRefused(gemma_classify(classifier_, &input, &policy, 1, &value),
                "policies[0].title is null");
  policy.name = nullptr;
  ExpectRefused(gemma_classify(classifier_, &input, &policy, 1, &value),
                "policies[0].name is null");
  ExpectRefused(
      gemma_classify_all(nullptr, &input, 1, items_, 1, &value, nullptr),
      "classifier is null");
  ExpectRefused(
      gemma_classify_all(classifier_, nullptr, 1, items_, 1, &value, nullptr),
      "inputs is null");
  ExpectRefused(
      gemma_classify_all(classifier_, &no_text, 1, items_, 1, &value, nullptr),
      "inputs[0].text.text is null");
  ExpectRefused(
      gemma_classify_all(classifier_, &input, 1, items_, 1, nullptr, nullptr),
      "probabilities is null");
  ExpectRefused(
      gemma_classifier_prompt(nullptr, &input, items_, &token, 1, &size),
      "classifier is null");
  ExpectRefused(
      gemma_classifier_prompt(classifier_, nullptr, items_, &token, 1, &size),
      "input is null");
  ExpectRefused(
      gemma_classifier_prompt(classifier_, &input, nullptr, &token, 1, &size),
      "policy is null");
  ExpectRefused(
      gemma_classifier_prompt(classifier_, &input, items_, &token, 1, nullptr),
      "size is null");
  ExpectRefused(gemma_classifier_get_stats(nullptr, &stats),
                "classifier is null");
  ExpectRefused(gemma_classifier_get_stats(classifier_, nullptr),
                "stats is null");
  ExpectRefused(gemma_ticket_classification(nullptr, &value, nullptr),
                "ticket is null");
  EXPECT_EQ(gemma_policies_items(nullptr, &size), nullptr);
  EXPECT_EQ(size, 0u);
  gemma_policies_free(nullptr);
  gemma_classifier_free(nullptr);
}

}  // namespace
}  // namespace gemma::internal
