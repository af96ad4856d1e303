// Reads Hugging Face's tokenizer.json, which has merges but no scores or types.

#include <algorithm>
#include <utility>

#include "src/base/format_text.h"
#include "src/base/hash_table.h"
#include "src/base/utf8.h"
#include "src/text/tokenizer/added_tokens.h"
#include "src/text/tokenizer/control_names.h"
#include "src/text/tokenizer/vocabulary.h"

namespace gemma::internal {
namespace {

// Builds a vocabulary from entries in any order.
class HfReader {
 public:
  HfReader(const HfTokenizerData& data, std::string_view path)
      : data_(data), path_(path) {}

  absl::StatusOr<Vocabulary> Read() {
    absl::Status status = ReadEntries();
    if (status.ok()) status = ReadMerges();
    if (!status.ok()) return status;
    SetTypes();
    vocabulary_.bos = IdOf(data_.bos_token);
    vocabulary_.eos = IdOf(data_.eos_token);
    vocabulary_.unk = IdOf(data_.unk_token);
    vocabulary_.pad = IdOf(data_.pad_token);
    status = Canonicalize(vocabulary_, path_);
    if (!status.ok()) return status;
    TextRules rules = data_.rules;
    rules.added = data_.added;
    SetRules(std::move(rules), vocabulary_);
    return std::move(vocabulary_);
  }

 private:
  // Fills ids_ and the texts of vocabulary_.pieces.
  absl::Status ReadEntries() {
    ids_.reserve(data_.vocab.size() + data_.added.size());
    int64_t max_id = -1;
    for (const auto& [text, id] : data_.vocab) {
      const absl::Status status = CheckEntry("model.vocab", text, id);
      if (!status.ok()) return status;
      const auto [it, inserted] = ids_.try_emplace(text, id);
      if (!inserted) return TwoIds("model.vocab", text, it->second, id);
      max_id = std::max(max_id, id);
    }
    for (const AddedToken& token : data_.added) {
      const absl::Status status =
          CheckEntry("added_tokens", token.content, token.id);
      if (!status.ok()) return status;
      const auto [it, inserted] = ids_.try_emplace(token.content, token.id);
      if (it->second != token.id) {
        return TwoIds("added_tokens", token.content, it->second, token.id);
      }
      max_id = std::max(max_id, token.id);
    }

    Vocabulary::Piece hole;
    hole.type = PieceType::kUnused;
    vocabulary_.pieces.assign(static_cast<size_t>(max_id + 1), hole);
    is_merged_.resize(vocabulary_.pieces.size());
    is_character_.resize(vocabulary_.pieces.size());
    for (const auto& [text, id] : data_.vocab) {
      is_character_[static_cast<size_t>(id)] =
          Utf8Length(text[0]) == text.size();
    }
    for (const auto& [text, id] : ids_) {
      Vocabulary::Piece& piece = vocabulary_.pieces[static_cast<size_t>(id)];
      if (!piece.text.empty()) {
        return absl::InvalidArgumentError(FormatText(
            "%s: model.vocab gives the id %d to %s and to %s, wanted one piece",
            path_, id,
            QuotedPiece(std::min<std::string_view>(piece.text, text)),
            QuotedPiece(std::max<std::string_view>(piece.text, text))));
      }
      piece.text = std::string(text);
      piece.type = PieceType::kNormal;
    }
    return absl::OkStatus();
  }

  // A piece's score is the negative index of the first merge that makes it.
  absl::Status ReadMerges() {
    if (data_.merges.empty() || data_.merges.size() > kMaxMerges) {
      return absl::InvalidArgumentError(
          FormatText("%s: model.merges has %d elements, wanted 1 to %d", path_,
                     data_.merges.size(), kMaxMerges));
    }
    std::string product;
    for (size_t rank = 0; rank < data_.merges.size(); ++rank) {
      const auto& [left, right] = data_.merges[rank];
      product.assign(left);
      product.append(right);
      const auto it = ids_.find(product);
      if (left.empty() || right.empty() || it == ids_.end()) {
        return absl::InvalidArgumentError(FormatText(
            "%s: model.merges[%d] is %s and %s, wanted two parts of a piece in "
            "model.vocab",
            path_, rank, QuotedPiece(left), QuotedPiece(right)));
      }
      const auto id = static_cast<size_t>(it->second);
      if (is_merged_[id]) continue;
      is_merged_[id] = true;
      vocabulary_.pieces[id].score = -static_cast<float>(rank);
    }
    return absl::OkStatus();
  }

  // Gemma 4 has no sentencepiece model: its tokenizer.json is all there is.
  bool HasOnlyMerges() const {
    return ids_.contains(kGemma4Turns.open) &&
           ids_.contains(kGemma4Turns.close);
  }

  // A merge makes every ordinary piece of more than one character. Longer
  // pieces without a merge are defined by the sentencepiece model: tags, runs
  // of blanks, names. Canonicalize finds the control tokens among them by name.
  void SetTypes() {
    if (HasOnlyMerges()) SetUnreachable(is_merged_, vocabulary_);
    for (size_t id = 0; id < vocabulary_.pieces.size(); ++id) {
      Vocabulary::Piece& piece = vocabulary_.pieces[id];
      if (piece.type != PieceType::kNormal || is_merged_[id]) continue;
      if (Utf8Length(piece.text[0]) != piece.text.size()) {
        piece.type = PieceType::kUserDefined;
      }
    }
    for (const AddedToken& token : data_.added) {
      Vocabulary::Piece& piece =
          vocabulary_.pieces[static_cast<size_t>(token.id)];
      // Merging still makes it where the search does not find it.
      if (!token.special && NeedsRules(token) && IsMade(token)) continue;
      piece.type =
          token.special ? PieceType::kControl : PieceType::kUserDefined;
    }
    FindTabByte();
  }

  // Hugging Face's converter renames "<0x09>" to a tab. Gemma 3 already has a
  // tab, so the id has no piece.
  void FindTabByte() {
    const auto before = ids_.find("<0x08>");
    const auto after = ids_.find("<0x0A>");
    if (ids_.contains("<0x09>") || before == ids_.end() ||
        after == ids_.end() || after->second != before->second + 2) {
      return;
    }
    Vocabulary::Piece& piece =
        vocabulary_.pieces[static_cast<size_t>(before->second + 1)];
    if (piece.text.empty() || piece.text == "\t") {
      piece.text = "<0x09>";
      piece.type = PieceType::kByte;
    }
  }

  // Whether merging makes the token, which is then a piece of the model.
  bool IsMade(const AddedToken& token) const {
    const auto id = static_cast<size_t>(token.id);
    return is_merged_[id] || is_character_[id];
  }

  TokenId IdOf(std::string_view text) const {
    const auto it = ids_.find(text);
    return it == ids_.end() ? -1 : static_cast<TokenId>(it->second);
  }

  absl::Status CheckEntry(std::string_view field, std::string_view text,
                          int64_t id) const {
    if (!text.empty() && id >= 0 && static_cast<uint64_t>(id) < kMaxPieces) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(FormatText(
        "%s: %s gives %s the id %d, wanted a text and an id from 0 to %d",
        path_, field, QuotedPiece(text), id, kMaxPieces - 1));
  }

  absl::Status TwoIds(std::string_view field, std::string_view text,
                      int64_t first, int64_t second) const {
    return absl::InvalidArgumentError(FormatText(
        "%s: %s gives %s the id %d, an earlier entry gives it %d; wanted one",
        path_, field, QuotedPiece(text), second, first));
  }

  const HfTokenizerData& data_;
  std::string_view path_;
  HashMap<std::string_view, int64_t> ids_;
  std::vector<bool> is_merged_;     // by id: a merge makes it
  std::vector<bool> is_character_;  // by id: a character in model.vocab
  Vocabulary vocabulary_;
};

}  // namespace

absl::StatusOr<Vocabulary> VocabularyFromHf(const HfTokenizerData& data,
                                            std::string_view path) {
  return HfReader(data, path).Read();
}

}  // namespace gemma::internal
