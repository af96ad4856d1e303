#include "src/text/tokenizer/vocabulary.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <cmath>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "src/base/format_text.h"
#include "src/base/utf8.h"
#include "src/text/tokenizer/control_names.h"

namespace gemma::internal {
namespace {

constexpr const ToolMarks& kTools4 = kGemma4Turns.tools;
constexpr const ToolMarks& kTools3 = kGemma3Turns.tools;

// Control tokens of Gemma 4 and FunctionGemma that answers contain.
constexpr std::string_view kPrintedControls[] = {kGemma4Turns.open_channel,
                                                 kGemma4Turns.close_channel,
                                                 kTools4.open_call,
                                                 kTools4.close_call,
                                                 kTools4.open_result,
                                                 kTools4.close_result,
                                                 kTools4.quote,
                                                 kTools3.open_call,
                                                 kTools3.close_call,
                                                 kTools3.open_result,
                                                 kTools3.close_result,
                                                 kTools3.quote};

// Their other control tokens. Files may call all of them user-defined, so that
// programs which cut answers apart by text see them.
constexpr std::string_view kOtherControls[] = {kGemma4Turns.open,
                                               kGemma4Turns.close,
                                               kTools4.open_declaration,
                                               kTools4.close_declaration,
                                               "<|image>",
                                               "<image|>",
                                               "<|audio>",
                                               "<audio|>",
                                               kTools3.open_declaration,
                                               kTools3.close_declaration};

constexpr std::array<std::string_view, 13> kControlNames = {
    "<pad>",
    "<eos>",
    "<bos>",
    "<unk>",
    "<mask>",
    "<2mass>",
    "[@BOS@]",
    "[multimodal]",
    kGemma3Turns.open,
    kGemma3Turns.close,
    "<start_of_image>",
    "<end_of_image>",
    "<image_soft_token>"};

bool IsUnusedName(std::string_view piece) {
  return absl::ConsumePrefix(&piece, "<unused") &&
         absl::ConsumeSuffix(&piece, ">") && !piece.empty() &&
         piece.find_first_not_of("0123456789") == std::string_view::npos;
}

// "<|fim_prefix|>". Merging may also make an ordinary piece of this form. Only
// pieces that merging did not make are control tokens.
bool IsBarName(std::string_view piece) {
  return piece.size() > 4 && absl::StartsWith(piece, "<|") &&
         absl::EndsWith(piece, "|>");
}

// Whether the piece is a tag of HTML that Gemma's vocabularies define, such as
// "<h1>" or "</table>". GGUF files from mid-2024 call them normal pieces.
bool IsTag(std::string_view piece) {
  constexpr std::string_view kTags[] = {
      "table", "caption", "thead",      "tbody",  "tfoot", "tr",
      "th",    "td",      "h1",         "h2",     "h3",    "h4",
      "h5",    "h6",      "blockquote", "strong", "em",    "b",
      "i",     "u",       "s",          "sub",    "sup",   "code"};
  if (!absl::ConsumePrefix(&piece, "<") || !absl::ConsumeSuffix(&piece, ">")) {
    return false;
  }
  absl::ConsumePrefix(&piece, "/");
  return std::find(std::begin(kTags), std::end(kTags), piece) !=
         std::end(kTags);
}

// Whether the piece repeats `unit` at least `min_count` times.
bool IsRun(std::string_view piece, std::string_view unit, size_t min_count) {
  size_t count = 0;
  while (absl::ConsumePrefix(&piece, unit)) ++count;
  return piece.empty() && count >= min_count;
}

// Returns the token that the file names for `role`, or else the piece with
// Gemma's name for the role, or -1.
absl::StatusOr<TokenId> ResolveId(const Vocabulary& vocabulary, TokenId id,
                                  std::string_view role,
                                  std::string_view default_piece,
                                  std::string_view path) {
  const std::vector<Vocabulary::Piece>& pieces = vocabulary.pieces;
  if (id != -1) {
    if (id < 0 || static_cast<size_t>(id) >= pieces.size()) {
      return absl::InvalidArgumentError(FormatText(
          "%s: the id of the %s token is %d, wanted less than the number of "
          "pieces, %d",
          path, role, id, pieces.size()));
    }
    return id;
  }
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (pieces[i].text == default_piece) return static_cast<TokenId>(i);
  }
  return -1;
}

absl::Status CheckPiece(const Vocabulary::Piece& piece, size_t id,
                        std::string_view path) {
  const auto error = [&](std::string_view what) {
    return absl::InvalidArgumentError(FormatText(
        "%s: piece %d is %s, %s", path, id, QuotedPiece(piece.text), what));
  };
  const std::string& text = piece.text;
  if (text.empty() && piece.type != PieceType::kUnused) {
    return error("wanted at least one character");
  }
  if (text.size() > kMaxPieceBytes) {
    return error(
        FormatText("%d bytes, wanted at most %d", text.size(), kMaxPieceBytes));
  }
  if (!IsValidUtf8(text)) return error("wanted UTF-8");
  if (!std::isfinite(piece.score)) {
    return error(
        FormatText("its score is %f, wanted a finite one", piece.score));
  }
  switch (piece.type) {
    case PieceType::kNormal:
    case PieceType::kUnknown:
    case PieceType::kControl:
    case PieceType::kUserDefined:
    case PieceType::kUnused:
      return absl::OkStatus();
    case PieceType::kByte:
      if (ByteOfPiece(text).has_value()) return absl::OkStatus();
      return error("a byte piece, wanted '<0x00>' to '<0xFF>'");
  }
  return error(FormatText("its type is %d, wanted 1 to 6",
                          static_cast<int>(piece.type)));
}

}  // namespace

bool IsPrintedControl(std::string_view name) {
  return std::find(std::begin(kPrintedControls), std::end(kPrintedControls),
                   name) != std::end(kPrintedControls);
}

bool IsRunOfBlanks(std::string_view piece) {
  return IsRun(piece, kBlank, 2) || IsRun(piece, "\n", 1) ||
         IsRun(piece, "\t", 1);
}

PieceType CanonicalType(const Vocabulary::Piece& piece) {
  if (piece.type == PieceType::kUnused && piece.text.empty()) {
    return PieceType::kUnused;
  }
  if (IsControlType(piece.type)) return PieceType::kControl;
  if (std::find(kControlNames.begin(), kControlNames.end(), piece.text) !=
          kControlNames.end() ||
      IsUnusedName(piece.text)) {
    return PieceType::kControl;
  }
  const bool is_named =
      IsBarName(piece.text) || IsPrintedControl(piece.text) ||
      std::find(std::begin(kOtherControls), std::end(kOtherControls),
                piece.text) != std::end(kOtherControls);
  if (piece.type != PieceType::kNormal && is_named) {
    return PieceType::kControl;
  }
  if (ByteOfPiece(piece.text).has_value()) return PieceType::kByte;
  const bool is_tag = piece.type != PieceType::kUnused && IsTag(piece.text);
  if (IsRunOfBlanks(piece.text) || is_tag) {
    return PieceType::kUserDefined;
  }
  return piece.type;
}

std::optional<uint8_t> ByteOfPiece(std::string_view piece) {
  if (piece.size() != 6 || !absl::StartsWith(piece, "<0x") || piece[5] != '>') {
    return std::nullopt;
  }
  int value = 0;
  for (char c : piece.substr(3, 2)) {  // upper case only, as sentencepiece
    if (c >= '0' && c <= '9') {
      value = value * 16 + (c - '0');
    } else if (c >= 'A' && c <= 'F') {
      value = value * 16 + (c - 'A' + 10);
    } else {
      return std::nullopt;
    }
  }
  return static_cast<uint8_t>(value);
}

std::string QuotedPiece(std::string_view piece) {
  constexpr size_t kMaxSize = 64;
  return absl::StrCat("'", absl::CHexEscape(piece.substr(0, kMaxSize)),
                      piece.size() > kMaxSize ? "...'" : "'");
}

absl::Status Canonicalize(Vocabulary& vocabulary, std::string_view path) {
  std::vector<Vocabulary::Piece>& pieces = vocabulary.pieces;
  if (vocabulary.unk == -1) {
    for (size_t i = 0; i < pieces.size(); ++i) {
      if (pieces[i].type == PieceType::kUnknown) {
        vocabulary.unk = static_cast<TokenId>(i);
        break;
      }
    }
  }

  struct Id {
    TokenId& id;
    std::string_view role, default_piece;
  };
  for (const Id& id :
       {Id{vocabulary.bos, "BOS", "<bos>"}, Id{vocabulary.eos, "EOS", "<eos>"},
        Id{vocabulary.unk, "unknown", "<unk>"},
        Id{vocabulary.pad, "padding", "<pad>"}}) {
    const absl::StatusOr<TokenId> resolved =
        ResolveId(vocabulary, id.id, id.role, id.default_piece, path);
    if (!resolved.ok()) return resolved.status();
    id.id = *resolved;
    if (id.id != -1) pieces[id.id].type = PieceType::kControl;
  }
  if (vocabulary.unk == -1) {
    return absl::InvalidArgumentError(FormatText(
        "%s: no unknown token, wanted one id or a piece '<unk>'", path));
  }

  for (Vocabulary::Piece& piece : pieces) {
    if (piece.type != PieceType::kControl &&
        piece.type != PieceType::kUnknown) {
      if (piece.text.find(' ') != std::string::npos) {
        absl::StrReplaceAll({{" ", kBlank}}, &piece.text);
      }
    }
    piece.type = CanonicalType(piece);
    if (piece.type != PieceType::kNormal && piece.type != PieceType::kUnused) {
      piece.score = 0.0f;  // not used
    }
  }
  pieces[vocabulary.unk].type = PieceType::kUnknown;
  return absl::OkStatus();
}

absl::Status Validate(const Vocabulary& vocabulary, std::string_view path) {
  const std::vector<Vocabulary::Piece>& pieces = vocabulary.pieces;
  if (pieces.empty() || pieces.size() > kMaxPieces) {
    return absl::InvalidArgumentError(
        FormatText("%s: the vocabulary has %d pieces, wanted 1 to %d", path,
                   pieces.size(), kMaxPieces));
  }

  size_t bytes = 0;
  size_t num_unknown = 0;
  std::bitset<256> found_bytes;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const Vocabulary::Piece& piece = pieces[i];
    const absl::Status status = CheckPiece(piece, i, path);
    if (!status.ok()) return status;
    bytes += piece.text.size();
    num_unknown += piece.type == PieceType::kUnknown ? 1 : 0;
    if (piece.type == PieceType::kByte)
      found_bytes.set(*ByteOfPiece(piece.text));
  }
  if (bytes > kMaxVocabularyBytes) {
    return absl::InvalidArgumentError(
        FormatText("%s: the pieces have %d bytes, wanted at most %d", path,
                   bytes, kMaxVocabularyBytes));
  }
  if (!found_bytes.all()) {
    return absl::InvalidArgumentError(
        FormatText("%s: the vocabulary has %d byte pieces, wanted 256, "
                   "'<0x00>' to '<0xFF>'",
                   path, found_bytes.count()));
  }
  if (num_unknown != 1 || vocabulary.unk < 0 ||
      static_cast<size_t>(vocabulary.unk) >= pieces.size() ||
      pieces[vocabulary.unk].type != PieceType::kUnknown) {
    return absl::InvalidArgumentError(FormatText(
        "%s: the vocabulary has %d unknown pieces, wanted 1, with id %d", path,
        num_unknown, vocabulary.unk));
  }
  if (vocabulary.rules.has_value()) {
    for (const AddedToken& token : vocabulary.rules->added) {
      if (token.id >= 0 && static_cast<uint64_t>(token.id) < pieces.size()) {
        continue;
      }
      return absl::InvalidArgumentError(FormatText(
          "%s: the added token %s has the id %d, wanted 0 to %d", path,
          QuotedPiece(token.content), token.id, pieces.size() - 1));
    }
  }
  struct Id {
    std::string_view role;
    TokenId id;
  };
  for (const Id& id : {Id{"BOS", vocabulary.bos}, Id{"EOS", vocabulary.eos}}) {
    if (id.id < 0 || static_cast<size_t>(id.id) >= pieces.size() ||
        (pieces[id.id].type != PieceType::kControl &&
         id.id != vocabulary.unk)) {
      return absl::InvalidArgumentError(
          FormatText("%s: the id of the %s token is %d, wanted that of a "
                     "control piece",
                     path, id.role, id.id));
    }
  }
  return absl::OkStatus();
}

}  // namespace gemma::internal
