// The pieces of a tokenizer, as plain data, from each file that carries them.

#ifndef GEMMA_SRC_TEXT_VOCABULARY_H_
#define GEMMA_SRC_TEXT_VOCABULARY_H_

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

namespace gemma {

// What a piece is to sentencepiece. The numbers are those of the files: the
// enum of sentencepiece's ModelProto and of GGUF's token_type.
enum class PieceType : uint8_t {
  kNormal = 1,       // made by merging
  kUnknown = 2,      // exactly one
  kControl = 3,      // never matches text, has none
  kUserDefined = 4,  // matched before any merging
  kUnused = 5,       // taken apart again after merging
  kByte = 6,         // "<0x00>" to "<0xFF>", all of them
};

// Whether tokens of the type have no text.
inline bool IsControlType(PieceType type) {
  return type == PieceType::kControl || type == PieceType::kUnknown;
}

// What stands for a blank inside a piece.
inline constexpr std::string_view kBlank = "\u2581";

// A sentencepiece BPE vocabulary.
struct Vocabulary {
  struct Piece {
    std::string text;    // empty only if unused: an id without a piece
    float score = 0.0f;  // of two merges, the one with the higher score first
    PieceType type = PieceType::kNormal;

    bool operator==(const Piece&) const = default;
  };

  std::vector<Piece> pieces;  // indexed by TokenId
  TokenId bos = -1;           // -1: none
  TokenId eos = -1;           // as bos
  TokenId unk = -1;           // always set by Canonicalize
  TokenId pad = -1;           // as bos
  bool add_space_prefix = false;
};

// Limits on what a file may hold.
inline constexpr size_t kMaxPieces = size_t{1} << 21;
inline constexpr size_t kMaxPieceBytes = size_t{1} << 16;
inline constexpr size_t kMaxVocabularyBytes = size_t{1} << 26;
inline constexpr size_t kMaxMerges = size_t{1} << 24;  // exact in a float

// The three readers treat their input as hostile and end in Canonicalize, so
// that one model gives one set of ids whichever file it is read from. `path`
// is for messages.

// Bytes of a sentencepiece tokenizer.model, a serialized ModelProto.
absl::StatusOr<Vocabulary> VocabularyFromModelProto(
    absl::Span<const uint8_t> bytes, std::string_view path);

// tokenizer.ggml.* of a GGUF file.
struct GgufTokenizerData {
  std::string_view model = "llama";           // ...model
  absl::Span<const std::string_view> tokens;  // ...tokens
  absl::Span<const float> scores;             // ...scores
  absl::Span<const int32_t> types;            // ...token_type
  std::optional<int64_t> bos;                 // ...bos_token_id
  std::optional<int64_t> eos;                 // ...eos_token_id
  std::optional<int64_t> unk;                 // ...unknown_token_id
  std::optional<int64_t> pad;                 // ...padding_token_id
  bool add_space_prefix = true;  // ...add_space_prefix; if absent: true
};

absl::StatusOr<Vocabulary> VocabularyFromGguf(const GgufTokenizerData& data,
                                              std::string_view path);

// Hugging Face's tokenizer.json, with what tokenizer_config.json adds.
struct HfTokenizerData {
  struct AddedToken {
    std::string content;
    int64_t id = 0;
    bool special = false;
  };

  std::vector<std::pair<std::string, int64_t>> vocab;       // model.vocab
  std::vector<std::pair<std::string, std::string>> merges;  // model.merges
  std::vector<AddedToken> added;                            // added_tokens
  std::string bos_token = "<bos>";  // tokenizer_config.json; empty: none
  std::string eos_token = "<eos>";
  std::string unk_token = "<unk>";  // model.unk_token
  std::string pad_token = "<pad>";
  bool add_space_prefix = false;  // a Prepend normalizer, or a Metaspace
                                  // pre-tokenizer that prepends
};

// `vocab` may be in any order and have holes, which become unused pieces.
absl::StatusOr<Vocabulary> VocabularyFromHf(const HfTokenizerData& data,
                                            std::string_view path);

// Makes the sources alike. Blanks become U+2581. What Gemma uses as control
// tokens, what the file names as BOS, EOS and padding, and what the file says
// is control is control; runs of blanks, newlines and tabs are user-defined;
// "<0x0A>" is a byte. Fails if there is no unknown piece, or if a file gives
// two ids to one thing.
absl::Status Canonicalize(Vocabulary& vocabulary, std::string_view path);

// Names a piece that was left free for a use of the model's own, such as
// "<unused7>", and makes it a control token if it is `special`, as tokenizer
// files say. Others, and ids that there are not, stay as they are.
void NameFreePiece(int64_t id, std::string_view name, bool special,
                   Vocabulary& vocabulary);

// Checks everything that encoding takes for granted but that no two pieces are
// the same: PieceIndex finds that.
absl::Status Validate(const Vocabulary& vocabulary, std::string_view path);

// The byte of "<0x0A>"; nothing if the piece is not of that form.
std::optional<uint8_t> ByteOfPiece(std::string_view piece);

// A piece in quotes, safe to print on one line.
std::string QuotedPiece(std::string_view piece);

}  // namespace gemma

#endif  // GEMMA_SRC_TEXT_VOCABULARY_H_
