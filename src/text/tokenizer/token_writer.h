// Writes prompts that consist of control tokens and texts.

#ifndef GEMMA_SRC_TEXT_TOKENIZER_TOKEN_WRITER_H_
#define GEMMA_SRC_TEXT_TOKENIZER_TOKEN_WRITER_H_

#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/tokenizer.h"
#include "src/text/tokenizer/tokenizer_impl.h"

namespace gemma::internal {

// Appends control tokens, and texts in which names of control tokens stay text.
// Write the text between two control tokens in one call, because pieces do not
// merge across calls.
class TokenWriter {
 public:
  // `tokenizer` must outlive the writer.
  explicit TokenWriter(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  void Token(TokenId token) { tokens_.push_back(token); }
  void Text(std::string_view text) {
    const absl::StatusOr<std::vector<TokenId>> tokens =
        tokenizer_.Encode(text, ControlTokens::kAsText);
    status_.Update(tokens.status());
    if (tokens.ok()) {
      tokens_.insert(tokens_.end(), tokens->begin(), tokens->end());
    }
  }
  // Appends a text without the blank that some vocabularies put before a text.
  void ExactText(std::string_view text) {
    status_.Update(tokenizer_.impl().EncodeExactly(text, tokens_));
  }

  // The number of tokens so far.
  size_t size() const { return tokens_.size(); }

  // Returns all tokens, or the first error of encoding a text.
  absl::StatusOr<std::vector<TokenId>> Release() {
    if (!status_.ok()) return status_;
    return std::move(tokens_);
  }

 private:
  const Tokenizer& tokenizer_;
  std::vector<TokenId> tokens_;
  absl::Status status_;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_TEXT_TOKENIZER_TOKEN_WRITER_H_
