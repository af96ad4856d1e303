// The pieces of a tokenizer as plain data, read from any file that has them.

#ifndef GEMMA_SRC_TEXT_TOKENIZER_VOCABULARY_H_
#define GEMMA_SRC_TEXT_TOKENIZER_VOCABULARY_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/model_config.h"
#include "src/text/tokenizer/text_rules.h"

namespace gemma::internal {

// The type of a piece in sentencepiece. The numbers are those of the enum in
// sentencepiece's ModelProto and of token_type in GGUF files.
enum class PieceType : uint8_t {
  kNormal = 1,       // made by merging
  kUnknown = 2,      // exactly one
  kControl = 3,      // has no text and never matches text
  kUserDefined = 4,  // matched before merging
  kUnused = 5,       // split again after merging
  kByte = 6,         // "<0x00>" to "<0xFF>", each once
};

// Whether tokens of this type have no text.
inline bool IsControlType(PieceType type) {
  return type == PieceType::kControl || type == PieceType::kUnknown;
}

// Whether the name of a control token is text too: the borders of thoughts and
// of calls of tools in answers of Gemma 4 and FunctionGemma. Without them, the
// text of such an answer could not be understood.
bool IsPrintedControl(std::string_view name);

// The character that stands for a blank in a piece.
inline constexpr std::string_view kBlank = "\u2581";

// A sentencepiece BPE vocabulary.
struct Vocabulary {
  struct Piece {
    std::string text;    // empty only if unused: an id without a piece
    float score = 0.0f;  // the higher score merges first
    PieceType type = PieceType::kNormal;

    bool operator==(const Piece&) const = default;
  };

  std::vector<Piece> pieces;  // indexed by TokenId
  TokenId bos = -1;           // -1: none
  TokenId eos = -1;           // as bos
  TokenId unk = -1;           // always set by Canonicalize
  TokenId pad = -1;           // as bos
  bool add_space_prefix = false;
  // How to find added tokens and normalize texts. Nothing: user-defined pieces
  // are cut out, and only blanks change.
  std::optional<TextRules> rules;
  // A line for each thing in the files that is replaced or not honoured.
  std::vector<std::string> notes;
};

// Limits on the content of a file.
inline constexpr size_t kMaxPieces = size_t{1} << 21;
inline constexpr size_t kMaxPieceBytes = size_t{1} << 16;
inline constexpr size_t kMaxVocabularyBytes = size_t{1} << 26;
inline constexpr size_t kMaxMerges = size_t{1} << 24;  // exact in a float

// Three readers, one for each container. They do not trust their input. All end
// in Canonicalize, so a model has the same ids whichever file it is read from.
// `path` is for messages.

// Reads a sentencepiece tokenizer.model, a serialized ModelProto.
absl::StatusOr<Vocabulary> VocabularyFromModelProto(
    absl::Span<const uint8_t> bytes, std::string_view path);

// The keys tokenizer.ggml.* of a GGUF file.
struct GgufTokenizerData {
  std::string_view model = "llama";           // ...model; or "gemma4"
  absl::Span<const std::string_view> tokens;  // ...tokens
  absl::Span<const float> scores;             // ...scores; not of "gemma4"
  absl::Span<const std::string_view> merges;  // ...merges; only of "gemma4"
  absl::Span<const int32_t> types;            // ...token_type
  std::optional<int64_t> bos;                 // ...bos_token_id
  std::optional<int64_t> eos;                 // ...eos_token_id
  std::optional<int64_t> unk;                 // ...unknown_token_id
  std::optional<int64_t> pad;                 // ...padding_token_id
  bool add_space_prefix = false;  // ...add_space_prefix; if absent: false,
                                  // as in all sentencepiece models of Gemma
};

absl::StatusOr<Vocabulary> VocabularyFromGguf(const GgufTokenizerData& data,
                                              std::string_view path);

// In a vocabulary whose pieces are made by merges alone, marks normal pieces of
// several characters that no merge makes: text never becomes them. They are
// unused pieces that merge after all others, and are then split again.
// `is_merged` is indexed by TokenId.
void SetUnreachable(const std::vector<bool>& is_merged, Vocabulary& vocabulary);

// Returns whether SetUnreachable has marked the piece.
bool IsUnreachable(const Vocabulary::Piece& piece);

// Whether a piece is one of the runs that Canonicalize makes user-defined: of
// blanks, newlines or tabs.
bool IsRunOfBlanks(std::string_view piece);

// Returns tokenizer.ggml.merges of a vocabulary: each way to make a piece of
// two others, with a blank between these, in the order of the pieces' scores,
// and then of the ids of the two parts, as Hugging Face's converter orders
// them. Runs of blanks come first, the longest before the others.
// VocabularyFromGguf ranks the pieces by them in the same order.
std::vector<std::string> MergesOf(absl::Span<const Vocabulary::Piece> pieces);

// The content of Hugging Face's tokenizer.json and tokenizer_config.json.
struct HfTokenizerData {
  std::vector<std::pair<std::string, int64_t>> vocab;       // model.vocab
  std::vector<std::pair<std::string, std::string>> merges;  // model.merges
  std::vector<AddedToken> added;                            // added_tokens
  TextRules rules;  // normalizer, pre_tokenizer; without added tokens
  std::string bos_token = "<bos>";  // tokenizer_config.json; empty: none
  std::string eos_token = "<eos>";
  std::string unk_token = "<unk>";  // model.unk_token
  std::string pad_token = "<pad>";
};

// `vocab` may be in any order. Missing ids become unused pieces.
absl::StatusOr<Vocabulary> VocabularyFromHf(const HfTokenizerData& data,
                                            std::string_view path);

// Gives vocabularies from all sources the same form:
// - Blanks become U+2581.
// - Control: the tokens that Gemma uses as control tokens, those that the file
//   names as BOS, EOS and padding, and those with that type in the file.
// - User-defined: runs of blanks, of newlines and of tabs.
// - Byte: "<0x0A>" and the like.
// Fails without an unknown piece, or if the id that a file gives for a role
// is outside the vocabulary.
absl::Status Canonicalize(Vocabulary& vocabulary, std::string_view path);

// Returns the type that a piece of this text and type has in all sources. The
// types of BOS, EOS, padding and the unknown token do not follow from it.
PieceType CanonicalType(const Vocabulary::Piece& piece);

// Checks all that encoding relies on, except that pieces are unique:
// PieceIndex::Fill checks that.
absl::Status Validate(const Vocabulary& vocabulary, std::string_view path);

// Returns the byte of a piece like "<0x0A>", or nothing for other pieces.
std::optional<uint8_t> ByteOfPiece(std::string_view piece);

// Returns the piece in quotes, safe to print on one line.
std::string QuotedPiece(std::string_view piece);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_TEXT_TOKENIZER_VOCABULARY_H_
