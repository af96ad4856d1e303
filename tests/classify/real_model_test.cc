// The vocabulary of the real Gemma 3 270M, whose path is in $GEMMA_TEST_MODEL:
// the number of tokens that policies take and compute together.

#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "gemma/classifier.h"
#include "gtest/gtest.h"
#include "tests/support/error_of.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

// Returns the first words of a text, about `tokens` tokens.
std::string TextOf(const Tokenizer& tokenizer, size_t tokens) {
  std::ifstream file(GEMMA_TESTDATA_DIR "/real270m/text.txt");
  std::string text;
  std::string word;
  while (file >> word && tokenizer.Encode(text)->size() < tokens) {
    text += text.empty() ? word : " " + word;
  }
  return text;
}

TEST(RealModelClassifier, FourPoliciesShareText) {
  const char* path = std::getenv("GEMMA_TEST_MODEL");
  ASSERT_NE(path, nullptr) << "GEMMA_TEST_MODEL names no model";
  LoadOptions options;
  options.deterministic = true;
  const Model model = LoadOrDie(path, options);
  const std::string text = TextOf(**model.tokenizer(), 300);
  const ClassifierInput input = {text, std::nullopt};
  const std::vector<Policy>& policies = ShieldPolicies();

  auto classifier = Classifier::Create(model);
  ASSERT_EQ(ErrorOf(classifier), "OK");
  const auto together = classifier->Classify(input, policies);
  ASSERT_EQ(ErrorOf(together), "OK");
  const ClassifierStats stats = classifier->stats();
  for (size_t i = 0; i < policies.size(); ++i) {
    auto other = Classifier::Create(model);
    ASSERT_EQ(ErrorOf(other), "OK");
    const auto alone = other->Classify(input, {&policies[i], 1});
    ASSERT_EQ(ErrorOf(alone), "OK");
    EXPECT_EQ((*alone)[0], (*together)[i]) << policies[i].name;
  }
  const double mean_alone = static_cast<double>(stats.prompt_tokens) / 4;
  const double cost = static_cast<double>(stats.computed_tokens) / mean_alone;
  EXPECT_GT(cost, 1.6);
  EXPECT_LT(cost, 1.75);
}

}  // namespace
}  // namespace gemma::internal
