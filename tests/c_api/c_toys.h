// A toy model loaded from C, and helpers for C's functions.

#ifndef GEMMA_TESTS_C_API_C_TOYS_H_
#define GEMMA_TESTS_C_API_C_TOYS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "gemma/c_api.h"
#include "gemma/gemma.h"
#include "gtest/gtest.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {

inline std::string TestFile(const std::string& name) {
  return std::string(GEMMA_TESTDATA_DIR) + "/" + name;
}

// Returns a struct that was initialized for its own size.
template <class Struct>
Struct Initialized(void (*init)(Struct*, size_t)) {
  Struct made;
  init(&made, sizeof(made));
  return made;
}

// Checks a null pointer that was refused.
inline void ExpectRefused(gemma_status status, const char* message) {
  EXPECT_EQ(status, GEMMA_INVALID_ARGUMENT);
  EXPECT_STREQ(gemma_last_error(), message);
}

// Loads a model in both languages, and frees it.
class CToy {
 public:
  explicit CToy(const std::string& path) : same(LoadOrDie(path, {})) {
    EXPECT_EQ(gemma_model_load(path.c_str(), nullptr, &model), GEMMA_OK)
        << gemma_last_error();
  }
  ~CToy() { gemma_model_free(model); }
  CToy(const CToy&) = delete;
  CToy& operator=(const CToy&) = delete;

  gemma_model* model = nullptr;
  Model same;  // in C++
};

// A session of C that is freed at the end.
class CSequence {
 public:
  explicit CSequence(const CToy& toy) {
    EXPECT_EQ(gemma_session_create(toy.model, nullptr, &session), GEMMA_OK);
  }
  ~CSequence() { gemma_session_free(session); }
  CSequence(const CSequence&) = delete;
  CSequence& operator=(const CSequence&) = delete;

  std::vector<int32_t> Tokens() const {
    std::vector<int32_t> tokens(gemma_session_position(session));
    size_t size = 0;
    EXPECT_EQ(
        gemma_session_tokens(session, tokens.data(), tokens.size(), &size),
        GEMMA_OK);
    return tokens;
  }

  gemma_session* session = nullptr;
};

// A tokenized "hello the cat", after BOS.
inline std::vector<int32_t> HelloPrompt(const CToy& toy) {
  std::vector<int32_t> prompt =
      *(*toy.same.tokenizer())->Encode("hello the cat");
  prompt.insert(prompt.begin(), (*toy.same.tokenizer())->bos());
  return prompt;
}

// Returns the most probable token after the prompt.
inline int32_t MostProbable(const CToy& toy,
                            const std::vector<int32_t>& prompt) {
  Session session = NewSession(toy.same);
  const auto logits = session.Forward(prompt);
  EXPECT_TRUE(logits.ok());
  return std::max_element(logits->begin(), logits->end()) - logits->begin();
}

inline const CToy& Gemma3Toy() {
  static const CToy* const toy = new CToy(TestFile("gguf/gemma3_mixed.gguf"));
  return *toy;
}

inline bool AddText(const char* text, size_t size, void* user) {
  static_cast<std::string*>(user)->append(text, size);
  return true;
}

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_C_API_C_TOYS_H_
