// Finds pieces of a vocabulary by their text.

#ifndef GEMMA_SRC_TEXT_TOKENIZER_PIECE_INDEX_H_
#define GEMMA_SRC_TEXT_TOKENIZER_PIECE_INDEX_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/hash/hash.h"
#include "absl/status/status.h"
#include "src/base/format_text.h"
#include "src/text/tokenizer/vocabulary.h"

namespace gemma::internal {

// A hash table of ids with open addressing: the texts stay in the vocabulary.
class PieceIndex {
 public:
  // `pieces` must not move while this lives.
  explicit PieceIndex(const std::vector<Vocabulary::Piece>* pieces)
      : pieces_(pieces), slots_(1) {}

  // Adds every piece that has a text. InvalidArgument if two pieces are equal.
  // `path` names their file in messages.
  absl::Status Fill(std::string_view path) {
    // At most half full, so that a search ends soon.
    slots_.assign(std::bit_ceil(2 * pieces_->size() + 1), {});
    for (size_t i = 0; i < pieces_->size(); ++i) {
      const std::string_view text = (*pieces_)[i].text;
      if (text.empty()) continue;
      const uint32_t hash = HashOf(text);
      Slot& slot = slots_[Search(text, hash)];
      if (slot.id == kNone) {
        slot = {static_cast<TokenId>(i), hash};
        continue;
      }
      return absl::InvalidArgumentError(
          FormatText("%s: pieces %d and %d are both %s, wanted each only once",
                     path, slot.id, i, QuotedPiece(text)));
    }
    return absl::OkStatus();
  }

  std::optional<TokenId> Find(std::string_view text) const {
    const TokenId id = slots_[Search(text, HashOf(text))].id;
    if (id == kNone) return std::nullopt;
    return id;
  }

 private:
  static constexpr TokenId kNone = -1;
  struct Slot {
    TokenId id = kNone;
    uint32_t hash = 0;  // of its text
  };

  static uint32_t HashOf(std::string_view text) {
    return static_cast<uint32_t>(absl::HashOf(text));
  }

  // The slot of the text, or the one where it belongs.
  size_t Search(std::string_view text, uint32_t hash) const {
    for (size_t i = hash;; ++i) {
      const size_t slot = i & (slots_.size() - 1);
      const auto& [id, found] = slots_[slot];
      if (id == kNone) return slot;
      if (found == hash && (*pieces_)[id].text == text) return slot;
    }
  }

  const std::vector<Vocabulary::Piece>* pieces_;
  std::vector<Slot> slots_;  // a power of two
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_TEXT_TOKENIZER_PIECE_INDEX_H_
