// Tests that scores and embeddings are in C what they are in C++.

#include "gemma/c_embedder.h"

#include <string>
#include <vector>

#include "gemma/c_score.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/c_api/c_toys.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

TEST(CScore, EqualsScore) {
  const CToy& toy = Gemma3Toy();
  const std::vector<int32_t> prompt = HelloPrompt(toy);
  const std::vector<std::vector<TokenId>> lists = {
      {17, 4, 9}, {5}, {MostProbable(toy, prompt), 4}};
  std::vector<gemma_tokens> choices;
  for (const auto& list : lists) choices.push_back({list.data(), list.size()});
  Session session = NewSession(toy.same);
  const auto expected = Score(session, prompt, lists);
  ASSERT_TRUE(expected.ok());
  std::vector<double> wanted, wanted_tokens;
  for (const ChoiceScore& score : *expected) {
    wanted.push_back(score.log_probability);
    wanted_tokens.insert(wanted_tokens.end(),
                         score.token_log_probabilities.begin(),
                         score.token_log_probabilities.end());
  }
  const CSequence made(toy);
  std::vector<double> scores(3), token_scores(6);
  bool greedy[3];
  ASSERT_EQ(
      gemma_score(made.session, prompt.data(), prompt.size(), choices.data(),
                  choices.size(), scores.data(), token_scores.data(), greedy),
      GEMMA_OK);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(greedy[i], (*expected)[i].is_greedy);
  EXPECT_EQ(scores, wanted);
  EXPECT_EQ(token_scores, wanted_tokens);
  EXPECT_EQ(made.Tokens(), prompt);
  EXPECT_EQ(gemma_score(made.session, prompt.data(), 1, choices.data(), 0,
                        scores.data(), nullptr, nullptr),
            GEMMA_INVALID_ARGUMENT);
  const gemma_tokens no_tokens = {nullptr, 2};
  double* const out = scores.data();
  ExpectRefused(gemma_score(nullptr, prompt.data(), 1, choices.data(), 1, out,
                            nullptr, nullptr),
                "session is null");
  ExpectRefused(gemma_score(made.session, nullptr, 1, choices.data(), 1, out,
                            nullptr, nullptr),
                "prompt is null");
  ExpectRefused(gemma_score(made.session, prompt.data(), 1, nullptr, 1, out,
                            nullptr, nullptr),
                "choices is null");
  ExpectRefused(gemma_score(made.session, prompt.data(), 1, &no_tokens, 1, out,
                            nullptr, nullptr),
                "choices[0].tokens is null");
  ExpectRefused(gemma_score(made.session, prompt.data(), 1, choices.data(), 1,
                            nullptr, nullptr, nullptr),
                "scores is null");
  EXPECT_EQ(made.Tokens(), prompt);
}

class CEmbedder : public ::testing::Test {
 protected:
  CEmbedder() : same_(*Embedder::Create(toy_.same, {.max_tokens = 8})) {
    gemma_embedder_options options = Initialized(gemma_embedder_options_init);
    options.max_tokens = 8;
    EXPECT_EQ(gemma_embedder_create(toy_.model, &options, &embedder_), GEMMA_OK)
        << gemma_last_error();
    gemma_embed_options_init(&options_, sizeof(options_));
  }
  ~CEmbedder() override { gemma_embedder_free(embedder_); }

  // Embeds in both languages and expects the same.
  void ExpectSame(const EmbedOptions& same) {
    const std::vector<std::string> strings = {
        "hello", "", "the cat and the dog and the cat and the dog"};
    std::vector<gemma_text> texts;
    for (const auto& text : strings)
      texts.push_back({text.data(), text.size()});
    const auto expected = same_.Embed(strings, same);
    ASSERT_TRUE(expected.ok()) << expected.status();
    size_t size = 0;
    EXPECT_EQ(gemma_embed(embedder_, texts.data(), 3, &options_, nullptr, 0,
                          &size, nullptr, nullptr),
              GEMMA_OUT_OF_RANGE);
    ASSERT_EQ(size, expected->values.size());
    std::vector<float> values(size);
    std::vector<size_t> num_tokens(3);
    bool truncated[] = {true, true, false};
    ASSERT_EQ(gemma_embed(embedder_, texts.data(), 3, &options_, values.data(),
                          size, &size, num_tokens.data(), truncated),
              GEMMA_OK)
        << gemma_last_error();
    EXPECT_EQ(values, expected->values);
    EXPECT_EQ(num_tokens, expected->num_tokens);
    std::vector<size_t> cut;
    for (size_t i = 0; i < 3; ++i) {
      if (truncated[i]) cut.push_back(i);
    }
    EXPECT_EQ(cut, expected->truncated);
    if (!same.use_default_prompt) {
      EXPECT_EQ(cut, std::vector<size_t>{2});  // without a prefix
    }
  }

  CToy toy_{TestFile("gguf/gemma_embedding.gguf")};
  Embedder same_;
  gemma_embedder* embedder_ = nullptr;
  gemma_embed_options options_;
};

TEST_F(CEmbedder, VectorsEqualEmbedder) {
  ExpectSame({});
  options_.normalize = false;
  options_.dimensions = 2;
  options_.prompt = "document";
  options_.title = "the cat";
  EmbedOptions same;
  same.normalize = false;
  same.dimensions = 2;
  same.prompt = "document";
  same.title = "the cat";
  ExpectSame(same);
  gemma_embed_options_init(&options_, sizeof(options_));
  options_.use_default_prompt = false;
  same = {};
  same.use_default_prompt = false;
  ExpectSame(same);
}

bool CancelEmbedding(size_t done, void* user) {
  *static_cast<size_t*>(user) = done;
  return false;
}

TEST_F(CEmbedder, ErrorsNameOptions) {
  const gemma_text text = {"hello", 5};
  std::vector<float> values(10000);
  size_t size = 77;
  const auto embed = [&] {
    return gemma_embed(embedder_, &text, 1, &options_, values.data(),
                       values.size(), &size, nullptr, nullptr);
  };
  options_.dimensions = 1 << 20;
  EXPECT_EQ(embed(), GEMMA_INVALID_ARGUMENT);
  EXPECT_THAT(gemma_last_error(), HasSubstr("dimensions"));
  EXPECT_EQ(size, 77u);
  options_.dimensions = 0;
  options_.prompt = "nonsense";
  EXPECT_EQ(embed(), GEMMA_INVALID_ARGUMENT);
  EXPECT_THAT(gemma_last_error(), HasSubstr("nonsense"));
  options_.prompt = nullptr;
  size_t done = 0;
  options_.progress = CancelEmbedding;
  options_.user = &done;
  EXPECT_EQ(embed(), GEMMA_CANCELLED);
  EXPECT_EQ(done, 1u);
}

TEST_F(CEmbedder, DescriptionEqualsEmbedder) {
  EXPECT_EQ(gemma_embedder_dimensions(embedder_), same_.dimensions());
  EXPECT_EQ(gemma_embedder_max_tokens(embedder_), 8u);
  EXPECT_EQ(gemma_embedder_has_dense_layers(embedder_),
            same_.has_dense_layers());
  const auto prompts = same_.prompts();
  ASSERT_EQ(gemma_embedder_num_prompts(embedder_), prompts.size());
  std::string text(200, ' ');
  size_t size = 0;
  for (size_t i = 0; i < prompts.size(); ++i) {
    ASSERT_EQ(
        gemma_embedder_prompt(embedder_, i, text.data(), text.size(), &size),
        GEMMA_OK);
    EXPECT_EQ(text.substr(0, size), prompts[i].name);
    const std::string name(prompts[i].name);
    ASSERT_EQ(gemma_embedder_prefix(embedder_, name.c_str(), nullptr,
                                    text.data(), text.size(), &size),
              GEMMA_OK);
    EXPECT_EQ(text.substr(0, size), *same_.Prefix(name));
  }
  EXPECT_EQ(gemma_embedder_prompt(embedder_, prompts.size(), text.data(),
                                  text.size(), &size),
            GEMMA_OUT_OF_RANGE);
  ASSERT_EQ(
      gemma_embedder_default_prompt(embedder_, text.data(), text.size(), &size),
      GEMMA_OK);
  EXPECT_EQ(text.substr(0, size), same_.default_prompt());
  gemma_memory_use use = Initialized(gemma_memory_use_init);
  gemma_embedder_options options = Initialized(gemma_embedder_options_init);
  options.max_tokens = 8;
  ASSERT_EQ(gemma_embedder_memory(toy_.model, &options, &use), GEMMA_OK);
  EXPECT_EQ(use.total,
            Embedder::MemoryFor(toy_.same, {.max_tokens = 8}).total());
}

TEST_F(CEmbedder, NullPointersAreRefused) {
  gemma_embedder* none = nullptr;
  gemma_memory_use use = Initialized(gemma_memory_use_init);
  const gemma_text text = {"hello", 5};
  const gemma_text no_text = {nullptr, 5};
  float value = 0;
  size_t size = 0;
  char c = 0;
  ExpectRefused(gemma_embedder_create(nullptr, nullptr, &none),
                "model is null");
  ExpectRefused(gemma_embedder_create(toy_.model, nullptr, nullptr),
                "embedder is null");
  EXPECT_EQ(gemma_embedder_create(Gemma3Toy().model, nullptr, &none),
            GEMMA_FAILED_PRECONDITION);
  ExpectRefused(gemma_embedder_memory(nullptr, nullptr, &use), "model is null");
  ExpectRefused(gemma_embedder_memory(toy_.model, nullptr, nullptr),
                "use is null");
  ExpectRefused(gemma_embed(nullptr, &text, 1, nullptr, &value, 1, &size,
                            nullptr, nullptr),
                "embedder is null");
  ExpectRefused(gemma_embed(embedder_, nullptr, 1, nullptr, &value, 1, &size,
                            nullptr, nullptr),
                "texts is null");
  ExpectRefused(gemma_embed(embedder_, &no_text, 1, nullptr, &value, 1, &size,
                            nullptr, nullptr),
                "texts[0].text is null");
  ExpectRefused(gemma_embed(embedder_, &text, 1, nullptr, &value, 1, nullptr,
                            nullptr, nullptr),
                "size is null");
  ExpectRefused(gemma_embed(embedder_, &text, 1, nullptr, nullptr, 1 << 20,
                            &size, nullptr, nullptr),
                "values is null");
  ExpectRefused(gemma_embedder_prompt(nullptr, 0, &c, 1, &size),
                "embedder is null");
  ExpectRefused(gemma_embedder_prompt(embedder_, 0, &c, 1, nullptr),
                "size is null");
  ExpectRefused(gemma_embedder_default_prompt(nullptr, &c, 1, &size),
                "embedder is null");
  ExpectRefused(gemma_embedder_default_prompt(embedder_, &c, 1, nullptr),
                "size is null");
  ExpectRefused(gemma_embedder_prefix(nullptr, nullptr, nullptr, &c, 1, &size),
                "embedder is null");
  ExpectRefused(
      gemma_embedder_prefix(embedder_, nullptr, nullptr, &c, 1, nullptr),
      "size is null");
  EXPECT_EQ(gemma_embedder_dimensions(nullptr), 0u);
  EXPECT_EQ(gemma_embedder_max_tokens(nullptr), 0u);
  EXPECT_EQ(gemma_embedder_num_prompts(nullptr), 0u);
  EXPECT_FALSE(gemma_embedder_has_dense_layers(nullptr));
  gemma_embedder_free(nullptr);
}

}  // namespace
}  // namespace gemma::internal
