// What is behind Tokenizer's pointer, and how to make one.

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
#include "src/text/bpe_encoder.h"
#include "src/text/piece_index.h"
#include "src/text/prefix_matcher.h"
#include "src/text/token_trie.h"
#include "src/text/vocabulary.h"

namespace gemma {

// Checks the vocabulary first, so it may be hostile. `path` names the file it
// came from, for messages.
absl::StatusOr<Tokenizer> MakeTokenizer(Vocabulary vocabulary,
                                        std::string_view path);

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

  // Appends the tokens of `text`, in which no control token is looked for.
  absl::Status EncodeText(std::string_view text,
                          std::vector<TokenId>& tokens) const {
    return EncodeParts(text, vocabulary_.add_space_prefix, tokens);
  }
  // The same, without the blank that some vocabularies put in front.
  absl::Status EncodeExactly(std::string_view text,
                             std::vector<TokenId>& tokens) const {
    return EncodeParts(text, /*add_space_prefix=*/false, tokens);
  }

  // The bytes of all tokens, as a tree that is made when it is first asked for.
  const TokenTrie& trie() const {
    std::call_once(trie_made_, [this] { trie_.emplace(vocabulary_.pieces); });
    return *trie_;
  }

  // The longest control token that `text` begins with; null if there is none.
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
  std::optional<BpeEncoder> encoder_;  // set by Create, as all below
  PrefixMatcher controls_;
  bool newlines_separate_ = false;  // no token crosses the end of a newline run
  mutable std::once_flag trie_made_;
  mutable std::optional<TokenTrie> trie_;
};

}  // namespace gemma

#endif  // GEMMA_SRC_TEXT_TOKENIZER_IMPL_H_
