// Byte-pair encoding as sentencepiece does it.

#ifndef GEMMA_SRC_TEXT_BPE_ENCODER_H_
#define GEMMA_SRC_TEXT_BPE_ENCODER_H_

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "src/text/piece_index.h"
#include "src/text/prefix_matcher.h"
#include "src/text/vocabulary.h"

namespace gemma {

// Blanks become U+2581, and bytes that are in no character U+FFFD.
// User-defined pieces are taken out first, from the left, the longest first.
// What is between them starts as characters; then the two neighbours whose
// piece has the highest score merge, the leftmost of equals first, until none
// make a piece. Unused pieces are taken apart again, and a character that is no
// piece becomes its bytes.
//
// sentencepiece itself gives the same tokens (tests), but needs a quarter of a
// second of one core to load 262,144 pieces.
class BpeEncoder {
 public:
  // `vocabulary` must be valid; it and `index` must stay where they are.
  BpeEncoder(const Vocabulary* vocabulary, const PieceIndex* index);

  // Appends the tokens of `text`, which has less than 2^31 bytes; of a blank
  // and the text if `add_space_prefix`, unless it is empty.
  void Encode(std::string_view text, bool add_space_prefix,
              std::vector<TokenId>& tokens) const;

 private:
  class Merger;

  // The piece that text has, unless it is of a type that never matches text.
  std::optional<TokenId> Find(std::string_view text) const;
  PieceType type(TokenId token) const {
    return vocabulary_->pieces[token].type;
  }

  const Vocabulary* vocabulary_;
  const PieceIndex* index_;
  PrefixMatcher user_defined_;
  std::array<TokenId, 256> bytes_ = {};  // token of each byte
  size_t max_size_ = 0;  // bytes of the longest piece that merging can make
};

}  // namespace gemma

#endif  // GEMMA_SRC_TEXT_BPE_ENCODER_H_
