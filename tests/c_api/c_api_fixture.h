// A model and a session of C, for tests of many functions.

#ifndef GEMMA_TESTS_C_API_C_API_FIXTURE_H_
#define GEMMA_TESTS_C_API_C_API_FIXTURE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gemma/c_api.h"
#include "gtest/gtest.h"
#include "tests/c_api/c_toys.h"

namespace gemma::internal {

inline std::string Gemma3Path() { return TestFile("gguf/gemma3_mixed.gguf"); }

class CApi : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    ASSERT_EQ(gemma_model_load(Gemma3Path().c_str(), nullptr, &model_),
              GEMMA_OK)
        << gemma_last_error();
  }
  static void TearDownTestSuite() { gemma_model_free(model_); }

  void SetUp() override {
    ASSERT_EQ(gemma_session_create(model_, nullptr, &session_), GEMMA_OK);
  }
  void TearDown() override { gemma_session_free(session_); }

  static std::vector<int32_t> Tokenize(std::string_view text) {
    std::vector<int32_t> tokens(text.size() + 1);
    size_t size = 0;
    EXPECT_EQ(gemma_tokenize(model_, text.data(), text.size(), false,
                             tokens.data(), tokens.size(), &size),
              GEMMA_OK);
    tokens.resize(size);
    return tokens;
  }

  static std::vector<int32_t> Prompt() {
    std::vector<int32_t> prompt = {gemma_bos_token(model_)};
    const std::vector<int32_t> tokens = Tokenize("hello the cat");
    prompt.insert(prompt.end(), tokens.begin(), tokens.end());
    return prompt;
  }

  static inline gemma_model* model_ = nullptr;
  gemma_session* session_ = nullptr;
};

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_C_API_C_API_FIXTURE_H_
