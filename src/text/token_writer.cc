#include "src/text/token_writer.h"

#include "src/text/tokenizer_impl.h"

namespace gemma {

void TokenWriter::Text(std::string_view text) {
  const absl::StatusOr<std::vector<TokenId>> tokens =
      tokenizer_.Encode(text, ControlTokens::kAsText);
  status_.Update(tokens.status());
  if (tokens.ok()) {
    tokens_.insert(tokens_.end(), tokens->begin(), tokens->end());
  }
}

void TokenWriter::ExactText(std::string_view text) {
  status_.Update(tokenizer_.impl().EncodeExactly(text, tokens_));
}

}  // namespace gemma
