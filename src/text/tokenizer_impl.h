// What is behind Tokenizer's pointer, and how to make one.

#ifndef GEMMA_SRC_TEXT_TOKENIZER_IMPL_H_
#define GEMMA_SRC_TEXT_TOKENIZER_IMPL_H_

#include <sentencepiece_processor.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/tokenizer.h"
#include "src/text/vocabulary.h"

namespace gemma {

// Loads the vocabulary into sentencepiece. Checks it first, so it may be
// hostile. `path` names the file it came from, for messages.
absl::StatusOr<Tokenizer> MakeTokenizer(Vocabulary vocabulary,
                                        std::string_view path);

class Tokenizer::Impl {
 public:
  static absl::StatusOr<std::unique_ptr<const Impl>> Create(
      Vocabulary vocabulary, std::string_view path);

  size_t vocab_size() const { return types_.size(); }
  bool Contains(TokenId token) const {
    return token >= 0 && static_cast<size_t>(token) < types_.size();
  }
  TokenId bos() const { return bos_; }
  TokenId eos() const { return eos_; }

  // `token` must be in the vocabulary.
  PieceType type(TokenId token) const { return types_[token]; }
  std::string_view piece(TokenId token) const;

  std::optional<TokenId> Find(std::string_view piece) const;

  // Appends the tokens of `text`, in which no control token is looked for.
  // Long texts go to sentencepiece in parts, which changes no token.
  absl::Status EncodeText(std::string_view text,
                          std::vector<TokenId>& tokens) const;

  // The longest control token that `text` begins with.
  std::optional<TokenId> MatchControl(std::string_view text) const;

  // Whether a control token begins with this character.
  bool MayStartControl(char c) const {
    return !control_sizes_[static_cast<uint8_t>(c)].empty();
  }

 private:
  Impl() = default;

  // As EncodeText, in one part.
  absl::Status EncodePart(std::string_view text,
                          std::vector<TokenId>& tokens) const;

  sentencepiece::SentencePieceProcessor processor_;  // owns the texts
  std::vector<PieceType> types_;                     // by token
  TokenId bos_ = -1;
  TokenId eos_ = -1;
  bool newlines_separate_ = false;  // no token crosses the end of a newline run
  absl::flat_hash_map<std::string_view, TokenId> controls_;
  // Sizes of the control tokens that begin with a byte, longest first.
  std::array<std::vector<size_t>, 256> control_sizes_;
};

}  // namespace gemma

#endif  // GEMMA_SRC_TEXT_TOKENIZER_IMPL_H_
