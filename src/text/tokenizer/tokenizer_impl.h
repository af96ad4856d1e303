// The implementation of Tokenizer.

#ifndef GEMMA_SRC_TEXT_TOKENIZER_TOKENIZER_IMPL_H_
#define GEMMA_SRC_TEXT_TOKENIZER_TOKENIZER_IMPL_H_

#include <algorithm>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/tokenizer.h"
#include "src/base/internal.h"
#include "src/jinja/values/marked_text.h"
#include "src/text/tokenizer/bpe_encoder.h"
#include "src/text/tokenizer/piece_index.h"
#include "src/text/tokenizer/prefix_matcher.h"
#include "src/text/tokenizer/text_splitter.h"
#include "src/text/tokenizer/token_trie.h"
#include "src/text/tokenizer/vocabulary.h"

namespace gemma::internal {

// For a tokenizer without a model.
inline constexpr size_t kAnyRows = kMaxPieces;

// Makes a tokenizer. The vocabulary is not trusted; it is checked first. `path`
// names its file in messages. `num_rows`: the rows of the model's embedding
// table. Texts with later tokens are refused.
absl::StatusOr<Tokenizer> MakeTokenizer(Vocabulary vocabulary,
                                        std::string_view path,
                                        size_t num_rows = kAnyRows);

}  // namespace gemma::internal

namespace gemma {

class Tokenizer::Impl {
 public:
  static absl::StatusOr<std::unique_ptr<const Impl>> Create(
      Vocabulary vocabulary, std::string_view path, size_t num_rows);

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
    return EncodeText(text, /*prefix=*/true, tokens);
  }
  // The same, without the blank that some vocabularies put before a text.
  absl::Status EncodeExactly(std::string_view text,
                             std::vector<TokenId>& tokens) const {
    return EncodeText(text, /*prefix=*/false, tokens);
  }

  // Whether the vocabulary has rules (text_rules.h), and how to encode with
  // them. Other vocabularies have no EncodeByRules.
  bool has_rules() const { return splitter_.has_value(); }
  absl::Status EncodeByRules(std::string_view text,
                             const TextSplitter::Options& options,
                             std::vector<TokenId>& tokens) const;

  // Appends the tokens of `text` from the offset `begin` on. Names of control
  // tokens that lie within text of a template become those tokens; all other
  // text, whoever wrote it, is encoded together. At each offset of `cuts`,
  // which ascend from `begin`, text is encoded apart; `cut_tokens` receives the
  // size of `tokens` there. Unimplemented if a control token has flags that
  // change the text beside it.
  absl::Status EncodeMarked(const MarkedText& text, size_t begin,
                            absl::Span<const size_t> cuts,
                            std::vector<TokenId>& tokens,
                            std::vector<size_t>& cut_tokens) const;

  // Returns the longest control token that `text` begins with, or null.
  const PrefixMatcher::Entry* MatchControl(std::string_view text) const {
    return controls_.Longest(text);
  }

  // Returns OK, or an error that names the first token without a row in the
  // embedding table.
  absl::Status CheckRows(absl::Span<const TokenId> tokens) const;

  // Returns the tree of the bytes of all tokens that have a row in the
  // embedding table. The first call makes it.
  const TokenTrie& trie() const {
    std::call_once(trie_made_, [this] {
      trie_.emplace(absl::MakeSpan(vocabulary_.pieces)
                        .first(std::min(vocab_size(), num_rows_)));
    });
    return *trie_;
  }

 private:
  Impl(Vocabulary vocabulary, size_t num_rows)
      : vocabulary_(std::move(vocabulary)),
        num_rows_(num_rows),
        index_(&vocabulary_.pieces) {}

  absl::Status EncodeText(std::string_view text, bool prefix,
                          std::vector<TokenId>& tokens) const;
  absl::Status EncodeParts(std::string_view text, bool add_space_prefix,
                           std::vector<TokenId>& tokens) const;

  const Vocabulary vocabulary_;
  const size_t num_rows_;
  PieceIndex index_;
  std::optional<BpeEncoder> encoder_;  // Create sets this and the members below
  std::optional<TextSplitter> splitter_;  // if the vocabulary has rules
  PrefixMatcher controls_;
  bool newlines_separate_ = false;  // texts may be cut after newlines
  mutable std::once_flag trie_made_;
  mutable std::optional<TokenTrie> trie_;
};

}  // namespace gemma

#endif  // GEMMA_SRC_TEXT_TOKENIZER_TOKENIZER_IMPL_H_
