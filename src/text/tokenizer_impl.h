// The implementation of Tokenizer.

#ifndef GEMMA_SRC_TEXT_TOKENIZER_IMPL_H_
#define GEMMA_SRC_TEXT_TOKENIZER_IMPL_H_

#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/tokenizer.h"
#include "src/base/internal.h"
#include "src/text/bpe_encoder.h"
#include "src/text/piece_index.h"
#include "src/text/prefix_matcher.h"
#include "src/text/token_trie.h"
#include "src/text/vocabulary.h"

namespace gemma::internal {

// Makes a tokenizer. The vocabulary is not trusted; it is checked first. `path`
// names its file in messages.
absl::StatusOr<Tokenizer> MakeTokenizer(Vocabulary vocabulary,
                                        std::string_view path);

}  // namespace gemma::internal

namespace gemma {

class Tokenizer::Impl {
 public:
  static absl::StatusOr<std::unique_ptr<const Impl>> Create(
      Vocabulary vocabulary, std::string_view path);

  const Vocabulary& vocabulary() const { return vocabulary_; }
  size_t vocab_size() const { return vocabulary_.pieces.size(); }
  bool Contains(TokenId token) const {
    return token >= 0 && static_cast<size_t>(token) < vocab_size();
  }
  TokenId bos() const { return vocabulary_.bos; }
  TokenId eos() const { return vocabulary_.eos; }

  // `token` must be in the vocabulary.
  PieceType type(TokenId token) const { return vocabulary_.pieces[token].type; }
  std::string_view piece(TokenId token) const {
    return vocabulary_.pieces[token].text;
  }
  bool IsControl(TokenId token) const { return IsControlType(type(token)); }

  std::optional<TokenId> Find(std::string_view piece) const {
    return index_.Find(piece);
  }

  // Appends the tokens of `text`. Names of control tokens in it stay text.
  absl::Status EncodeText(std::string_view text,
                          std::vector<TokenId>& tokens) const {
    return EncodeParts(text, vocabulary_.add_space_prefix, tokens);
  }
  // The same, without the blank that some vocabularies put before a text.
  absl::Status EncodeExactly(std::string_view text,
                             std::vector<TokenId>& tokens) const {
    return EncodeParts(text, /*add_space_prefix=*/false, tokens);
  }

  // Returns the tree of all tokens' bytes. The first call makes it.
  const TokenTrie& trie() const {
    std::call_once(trie_made_, [this] { trie_.emplace(vocabulary_.pieces); });
    return *trie_;
  }

  // Returns the longest control token that `text` begins with, or null.
  const PrefixMatcher::Entry* MatchControl(std::string_view text) const {
    return controls_.Longest(text);
  }

 private:
  explicit Impl(Vocabulary vocabulary)
      : vocabulary_(std::move(vocabulary)), index_(&vocabulary_.pieces) {}

  absl::Status EncodeParts(std::string_view text, bool add_space_prefix,
                           std::vector<TokenId>& tokens) const;

  const Vocabulary vocabulary_;
  PieceIndex index_;
  std::optional<BpeEncoder> encoder_;  // Create sets this and the members below
  PrefixMatcher controls_;
  bool newlines_separate_ = false;  // texts may be cut after newlines
  mutable std::once_flag trie_made_;
  mutable std::optional<TokenTrie> trie_;
};

}  // namespace gemma

#endif  // GEMMA_SRC_TEXT_TOKENIZER_IMPL_H_
