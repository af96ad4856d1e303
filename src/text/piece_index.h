// Finds pieces of a vocabulary by their text.

#ifndef GEMMA_SRC_TEXT_PIECE_INDEX_H_
#define GEMMA_SRC_TEXT_PIECE_INDEX_H_

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/hash/hash.h"
#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "src/text/vocabulary.h"

namespace gemma {

// A hash set of ids, four bytes a piece: the texts stay in the vocabulary.
class PieceIndex {
 public:
  // The vector that `pieces` points to must stay where it is.
  explicit PieceIndex(const std::vector<Vocabulary::Piece>* pieces)
      : ids_(0, Hash{pieces}, Equal{pieces}) {}

  // Enters every piece that has a text. InvalidArgument if two are the same;
  // `path` names their file.
  absl::Status Fill(std::string_view path) {
    const std::vector<Vocabulary::Piece>& pieces = *ids_.hash_function().pieces;
    ids_.reserve(pieces.size());
    for (size_t i = 0; i < pieces.size(); ++i) {
      if (pieces[i].text.empty()) continue;
      const auto [it, inserted] = ids_.insert(static_cast<TokenId>(i));
      if (inserted) continue;
      return absl::InvalidArgumentError(absl::StrFormat(
          "%s: pieces %d and %d are both %s, wanted each only once", path, *it,
          i, QuotedPiece(pieces[i].text)));
    }
    return absl::OkStatus();
  }

  std::optional<TokenId> Find(std::string_view text) const {
    const auto it = ids_.find(text);
    if (it == ids_.end()) return std::nullopt;
    return *it;
  }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const {
      return absl::HashOf(text);
    }
    size_t operator()(TokenId id) const {
      return absl::HashOf(std::string_view((*pieces)[id].text));
    }
    const std::vector<Vocabulary::Piece>* pieces;
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(TokenId a, TokenId b) const { return (*this)(text(a), b); }
    bool operator()(TokenId a, std::string_view b) const {
      return text(a) == b;
    }
    bool operator()(std::string_view a, TokenId b) const {
      return a == text(b);
    }
    std::string_view text(TokenId id) const { return (*pieces)[id].text; }
    const std::vector<Vocabulary::Piece>* pieces;
  };

  absl::flat_hash_set<TokenId, Hash, Equal> ids_;
};

}  // namespace gemma

#endif  // GEMMA_SRC_TEXT_PIECE_INDEX_H_
