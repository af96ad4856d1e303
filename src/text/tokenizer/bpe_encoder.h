// Byte-pair encoding as sentencepiece does it.

#ifndef GEMMA_SRC_TEXT_TOKENIZER_BPE_ENCODER_H_
#define GEMMA_SRC_TEXT_TOKENIZER_BPE_ENCODER_H_

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "src/text/tokenizer/piece_index.h"
#include "src/text/tokenizer/prefix_matcher.h"
#include "src/text/tokenizer/vocabulary.h"

namespace gemma::internal {

// Encodes text in these steps:
// - Each blank becomes U+2581. Each byte outside a valid character becomes
//   U+FFFD.
// - User-defined pieces are cut out from left to right, the longest first.
// - The text between them is split into characters. The two neighbours whose
//   piece has the highest score merge, the leftmost first among equals, until
//   no two neighbours make a piece.
// - Unused pieces are split again into the parts that they were merged from.
// - A character that is not a piece becomes its bytes.
//
// The added tokens of a vocabulary with rules are not cut out: TextSplitter has
// done it.
//
// Tests show that sentencepiece gives the same tokens. It is not used here
// because it needs a quarter of a second of one core to load 262,144 pieces.
class BpeEncoder {
 public:
  // `vocabulary` must be valid. It and `index` must not move while this lives.
  BpeEncoder(const Vocabulary* vocabulary, const PieceIndex* index);

  // Appends the tokens of `text`, which must have fewer than 2^31 bytes.
  // `add_space_prefix` puts a blank before the text. An empty text has no
  // tokens.
  void Encode(std::string_view text, bool add_space_prefix,
              std::vector<TokenId>& tokens) const;

  // Appends the tokens of a text after the first step.
  void EncodeNormalized(std::string_view text,
                        std::vector<TokenId>& tokens) const;

 private:
  class Merger;

  // Returns the piece with this text that merging can make, or nothing.
  std::optional<TokenId> Find(std::string_view text) const;
  PieceType type(TokenId token) const {
    return vocabulary_->pieces[token].type;
  }

  const Vocabulary* vocabulary_;
  const PieceIndex* index_;
  PrefixMatcher user_defined_;
  std::array<TokenId, 256> bytes_ = {};  // the token of each byte
  size_t max_size_ = 0;  // bytes of the longest piece that matches text
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_TEXT_TOKENIZER_BPE_ENCODER_H_
