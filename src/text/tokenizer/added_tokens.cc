#include "src/text/tokenizer/added_tokens.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "src/base/format_text.h"
#include "src/text/tokenizer/text_splitter.h"

namespace gemma::internal {
namespace {

std::string WithMarkedBlanks(std::string_view text) {
  return absl::StrReplaceAll(text, {{" ", kBlank}});
}

// The step of Gemma's own normalizer.
NormalizerStep MarksBlanks() {
  return {NormalizerStep::Type::kReplace, " ", std::string(kBlank)};
}

// Gemma's own files list runs of blanks as added tokens. Merging makes them.
bool IsBlankRun(std::string_view text) {
  return absl::StrReplaceAll(text, {{kBlank, ""}}).empty();
}

// Contents of added tokens, sorted.
using Contents = std::vector<std::string_view>;

// Whether a search for `names`, before one for `token`, can take away a part of
// a text that is `token`: a name is inside it, or begins in it and ends after
// it.
bool CanDisturb(const Contents& names, std::string_view token) {
  for (size_t i = 0; i < token.size(); ++i) {
    const std::string_view rest = token.substr(i);
    const auto from = std::lower_bound(names.begin(), names.end(), rest);
    // The first name that is not less continues `rest`, if any does.
    if (from != names.end() && absl::StartsWith(*from, rest) &&
        (i > 0 || *from == rest)) {
      return true;
    }
    for (size_t size = 1; size < rest.size(); ++size) {
      if (std::binary_search(names.begin(), names.end(), rest.substr(0, size)))
        return true;
    }
  }
  return false;
}

// Whether one search for all user-defined pieces, in normalized text, can find
// others than two searches, as the rules want.
bool OrderMatters(const TextRules& rules) {
  Contents raw;
  for (const AddedToken& token : rules.added) {
    if (!token.normalized) raw.push_back(token.content);
  }
  std::sort(raw.begin(), raw.end());
  return std::any_of(
      rules.added.begin(), rules.added.end(), [&](const AddedToken& token) {
        return token.normalized && CanDisturb(raw, token.content);
      });
}

}  // namespace

bool NeedsRules(const AddedToken& token) {
  if (token.single_word || token.lstrip || token.rstrip) return true;
  return !token.normalized && !IsBlankRun(token.content) &&
         (absl::StrContains(token.content, ' ') ||
          absl::StrContains(token.content, kBlank));
}

absl::Status AddTokens(absl::Span<const AddedToken> added,
                       std::string_view path, Vocabulary& vocabulary) {
  std::vector<Vocabulary::Piece>& pieces = vocabulary.pieces;
  for (const AddedToken& token : added) {
    if (token.content.empty() || token.id < 0 ||
        static_cast<uint64_t>(token.id) >= kMaxPieces) {
      return absl::InvalidArgumentError(FormatText(
          "%s: the added token %s has the id %d, wanted a text and an id from "
          "0 to %d",
          path, QuotedPiece(token.content), token.id, kMaxPieces - 1));
    }
    const auto id = static_cast<size_t>(token.id);
    if (id >= pieces.size()) {
      pieces.resize(id + 1, {"", 0.0f, PieceType::kUnused});
    }
    Vocabulary::Piece& piece = pieces[id];
    std::string text = WithMarkedBlanks(token.content);
    if (piece.type == PieceType::kByte) {
      // Hugging Face's converter calls the byte of a tab by its character.
      if (piece.text == text || (piece.text == "<0x09>" && text == "\t")) {
        continue;
      }
      return absl::InvalidArgumentError(FormatText(
          "%s: the added token %s has the id %d, which belongs to "
          "the byte piece %s",
          path, QuotedPiece(token.content), token.id, QuotedPiece(piece.text)));
    }
    // Control tokens that keep their name stay control tokens, and those with
    // a role keep it under any name.
    const bool is_same = piece.text == text || piece.text == token.content;
    const auto as_id = static_cast<TokenId>(id);
    const bool has_role = as_id == vocabulary.bos || as_id == vocabulary.eos ||
                          as_id == vocabulary.pad || as_id == vocabulary.unk;
    piece.text = std::move(text);
    if (has_role || (is_same && IsControlType(piece.type))) continue;
    // Merging still makes it where the search does not find it.
    if (is_same && !token.special && NeedsRules(token)) continue;
    piece.score = 0.0f;
    piece.type = token.special ? PieceType::kControl : PieceType::kUserDefined;
    piece.type = CanonicalType(piece);
    // Control tokens are found in texts as they are.
    if (piece.type == PieceType::kControl) piece.text = token.content;
  }
  return absl::OkStatus();
}

bool OnlyReplacesBlanks(const TextRules& rules) {
  return std::all_of(rules.normalizer.begin(), rules.normalizer.end(),
                     [](const auto& step) { return step == MarksBlanks(); }) &&
         rules.metaspace.prefix == Metaspace::Prefix::kNever &&
         !rules.metaspace.split;
}

void SetRules(TextRules rules, Vocabulary& vocabulary) {
  vocabulary.rules.reset();
  std::erase_if(rules.added, [](const AddedToken& token) {
    return !NeedsRules(token) && IsBlankRun(token.content);
  });
  if (OnlyReplacesBlanks(rules) && !OrderMatters(rules) &&
      std::none_of(rules.added.begin(), rules.added.end(), NeedsRules)) {
    return;
  }
  if (rules.normalizer.empty()) {  // of a tokenizer.model
    rules.normalizer.push_back(MarksBlanks());
  }
  if (vocabulary.add_space_prefix) {
    rules.metaspace.prefix = Metaspace::Prefix::kFirst;
  }
  vocabulary.rules = std::move(rules);
}

}  // namespace gemma::internal
