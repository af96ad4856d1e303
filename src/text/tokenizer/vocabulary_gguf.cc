// Reads the tokenizer of a GGUF file, and makes its merges.

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/hash_table.h"
#include "src/base/utf8.h"
#include "src/text/tokenizer/vocabulary.h"

namespace gemma::internal {
namespace {

// Gives each piece that a merge makes the negative index of its first merge as
// score. `merges` are pairs of pieces with a blank between them.
absl::Status RankByMerges(absl::Span<const std::string_view> merges,
                          std::string_view path, Vocabulary& vocabulary) {
  std::vector<Vocabulary::Piece>& pieces = vocabulary.pieces;
  if (merges.empty() || merges.size() > kMaxMerges) {
    return absl::InvalidArgumentError(FormatText(
        "%s: tokenizer.ggml.merges has %d elements, wanted 1 to %d, because "
        "tokenizer.ggml.model is 'gemma4'",
        path, merges.size(), kMaxMerges));
  }
  HashMap<std::string_view, size_t> ids;
  ids.reserve(pieces.size());
  for (size_t i = 0; i < pieces.size(); ++i) ids.try_emplace(pieces[i].text, i);
  std::vector<bool> is_merged(pieces.size());
  std::string product;
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const std::string_view merge = merges[rank];
    const size_t blank = merge.empty() ? 0 : merge.find(' ', 1);
    product.assign(merge.substr(0, blank));
    if (blank < merge.size()) product.append(merge.substr(blank + 1));
    const auto it = ids.find(product);
    if (product.size() + 1 != merge.size() || it == ids.end()) {
      return absl::InvalidArgumentError(FormatText(
          "%s: tokenizer.ggml.merges[%d] is %s, wanted two parts of a piece in "
          "tokenizer.ggml.tokens with a blank between them",
          path, rank, QuotedPiece(merge)));
    }
    if (is_merged[it->second]) continue;
    is_merged[it->second] = true;
    pieces[it->second].score = -static_cast<float>(rank);
  }
  SetUnreachable(is_merged, vocabulary);
  return absl::OkStatus();
}

// The score of pieces that no merge makes.
constexpr float kUnreachable = -2.0f * static_cast<float>(kMaxMerges);

bool IsOneCharacter(std::string_view text) {
  return Utf8Length(text[0]) == text.size();
}

size_t NumCharacters(std::string_view text) {
  size_t count = 0;
  for (size_t at = 0; at < text.size(); at += Utf8Length(text[at])) ++count;
  return count;
}

}  // namespace

bool IsUnreachable(const Vocabulary::Piece& piece) {
  return piece.type == PieceType::kUnused && !piece.text.empty() &&
         piece.score == kUnreachable;
}

std::vector<std::string> MergesOf(absl::Span<const Vocabulary::Piece> pieces) {
  HashMap<std::string_view, size_t> ids;
  std::vector<const Vocabulary::Piece*> made;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const bool is_run = pieces[i].type == PieceType::kUserDefined &&
                        IsRunOfBlanks(pieces[i].text);
    if (pieces[i].type != PieceType::kNormal && !is_run) continue;
    ids.try_emplace(pieces[i].text, i);
    if (!IsOneCharacter(pieces[i].text)) made.push_back(&pieces[i]);
  }
  // Runs of blanks share a score: the longest comes first.
  std::stable_sort(made.begin(), made.end(), [](const auto* a, const auto* b) {
    if (a->score != b->score) return a->score > b->score;
    return NumCharacters(a->text) > NumCharacters(b->text);
  });
  struct Split {
    size_t left = 0, right = 0;  // ids
    size_t at = 0;
    auto operator<=>(const Split&) const = default;
  };
  std::vector<std::string> merges;
  for (const Vocabulary::Piece* piece : made) {
    const std::string_view text = piece->text;
    const size_t first = Utf8Length(text[0]);
    std::vector<Split> splits;
    for (size_t at = first; at < text.size(); at += Utf8Length(text[at])) {
      const auto left = ids.find(text.substr(0, at));
      const auto right = ids.find(text.substr(at));
      if (left == ids.end() || right == ids.end()) continue;
      splits.push_back({left->second, right->second, at});
    }
    std::sort(splits.begin(), splits.end());
    // A merge of parts that are not pieces keeps the piece's rank.
    if (splits.empty()) splits.push_back({0, 0, first});
    for (const Split& split : splits) {
      merges.push_back(
          absl::StrCat(text.substr(0, split.at), " ", text.substr(split.at)));
    }
  }
  return merges;
}

void SetUnreachable(const std::vector<bool>& is_merged,
                    Vocabulary& vocabulary) {
  for (size_t i = 0; i < vocabulary.pieces.size(); ++i) {
    Vocabulary::Piece& piece = vocabulary.pieces[i];
    if (piece.type != PieceType::kNormal || is_merged[i] ||
        IsOneCharacter(piece.text)) {
      continue;
    }
    piece.type = PieceType::kUnused;
    piece.score = kUnreachable;
  }
}

absl::StatusOr<Vocabulary> VocabularyFromGguf(const GgufTokenizerData& data,
                                              std::string_view path) {
  const bool has_merges = data.model == "gemma4";
  if (data.model != "llama" && !has_merges) {
    return absl::InvalidArgumentError(
        FormatText("%s: tokenizer.ggml.model is %s, wanted 'llama' or 'gemma4'",
                   path, QuotedPiece(data.model)));
  }
  const size_t size = data.tokens.size();
  if (size == 0 || size > kMaxPieces) {
    return absl::InvalidArgumentError(
        FormatText("%s: tokenizer.ggml.tokens has %d elements, wanted 1 "
                   "to %d",
                   path, size, kMaxPieces));
  }
  if ((!has_merges && data.scores.size() != size) ||
      data.types.size() != size) {
    return absl::InvalidArgumentError(FormatText(
        "%s: tokenizer.ggml.scores has %d elements and "
        "tokenizer.ggml.token_type %d, wanted %d as tokenizer.ggml.tokens",
        path, data.scores.size(), data.types.size(), size));
  }

  Vocabulary vocabulary;
  vocabulary.pieces.resize(size);
  for (size_t i = 0; i < size; ++i) {
    if (data.types[i] < 0 || data.types[i] > 6) {
      return absl::InvalidArgumentError(
          FormatText("%s: tokenizer.ggml.token_type[%d] is %d, wanted 0 "
                     "to 6",
                     path, i, data.types[i]));
    }
    // llama.cpp merges pieces of the type 0, undefined, like normal ones. A
    // piece without a text never matches.
    const auto type = data.tokens[i].empty() ? PieceType::kUnused
                      : data.types[i] == 0
                          ? PieceType::kNormal
                          : static_cast<PieceType>(data.types[i]);
    vocabulary.pieces[i] = {.text = std::string(data.tokens[i]),
                            .score = has_merges ? 0.0f : data.scores[i],
                            .type = type};
  }

  if (has_merges) {
    const absl::Status status = RankByMerges(data.merges, path, vocabulary);
    if (!status.ok()) return status;
  }

  struct Id {
    std::string_view key;
    const std::optional<int64_t>& value;
    TokenId& id;
    std::string_view otherwise;  // the piece that Canonicalize looks for
  };
  for (const Id& id : {Id{"bos", data.bos, vocabulary.bos, "<bos>"},
                       Id{"eos", data.eos, vocabulary.eos, "<eos>"},
                       Id{"unknown", data.unk, vocabulary.unk, "<unk>"},
                       Id{"padding", data.pad, vocabulary.pad, "<pad>"}}) {
    if (!id.value.has_value()) continue;
    if (*id.value < 0 || static_cast<uint64_t>(*id.value) >= size ||
        data.tokens[static_cast<size_t>(*id.value)].empty()) {
      vocabulary.notes.push_back(FormatText(
          "%s: tokenizer.ggml.%s_token_id is %d, wanted the id of a piece, 0 "
          "to %d: '%s' is used if the vocabulary has it",
          path, id.key, *id.value, size - 1, id.otherwise));
      continue;
    }
    id.id = static_cast<TokenId>(*id.value);
  }
  vocabulary.add_space_prefix = data.add_space_prefix;
  const absl::Status status = Canonicalize(vocabulary, path);
  if (!status.ok()) return status;
  return vocabulary;
}

}  // namespace gemma::internal
