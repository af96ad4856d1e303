// Reads sentencepiece's ModelProto without its protobuf code, because that code
// reads beyond the limits that we can set and prints to the terminal.

#include <bit>
#include <utility>

#include "gemma/error_reason.h"
#include "src/base/format_text.h"
#include "src/text/tokenizer/vocabulary.h"

namespace gemma::internal {
namespace {

// The field numbers of sentencepiece_model.proto.
enum ModelProtoField { kPieces = 1, kTrainerSpec = 2, kNormalizerSpec = 3 };
enum PieceField { kPieceText = 1, kPieceScore = 2, kPieceType = 3 };
enum TrainerField {
  kModelType = 3,
  kTreatBlankAsSuffix = 24,
  kByteFallback = 35,
  kBosId = 41,
  kEosId = 42,
  kPadId = 43,
  kBosPiece = 46,
  kEosPiece = 47,
  kPadPiece = 48,
};
enum NormalizerField {
  kCharsMap = 2,
  kAddDummyPrefix = 3,
  kRemoveExtraBlanks = 4,
  kEscapeBlanks = 5,
};

constexpr uint64_t kBpe = 2;  // TrainerSpec.ModelType

enum WireType { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct WireField {
  uint32_t number = 0;
  uint32_t type = 0;       // a WireType
  uint64_t value = 0;      // of kVarint and kFixed32
  std::string_view bytes;  // of kBytes
};

// Reads the fields of one message.
class WireReader {
 public:
  // Errors name the message and, in a list, its index.
  WireReader(std::string_view bytes, std::string_view path,
             std::string_view name, std::optional<size_t> index = std::nullopt)
      : bytes_(bytes),
        size_(bytes.size()),
        path_(path),
        name_(name),
        index_(index) {}

  bool Done() const { return bytes_.empty(); }

  absl::StatusOr<WireField> Next() {
    const size_t offset = size_ - bytes_.size();
    uint64_t tag = 0;
    if (!ReadVarint(tag)) return CutOff(offset);
    WireField field;
    if (tag >> 3 == 0 || tag >> 32 != 0) {
      return absl::InvalidArgumentError(FormatText(
          "%s: %s at byte %d has field number %d, wanted 1 to 536870911", path_,
          Message(), offset, tag >> 3));
    }
    field.number = static_cast<uint32_t>(tag >> 3);
    field.type = static_cast<uint32_t>(tag & 7);
    switch (field.type) {
      case kVarint:
        if (!ReadVarint(field.value)) return CutOff(offset);
        return field;
      case kFixed64:
        if (!ReadFixed(8, field.value)) return CutOff(offset);
        return field;
      case kFixed32:
        if (!ReadFixed(4, field.value)) return CutOff(offset);
        return field;
      case kBytes: {
        uint64_t length = 0;
        if (!ReadVarint(length)) return CutOff(offset);
        if (length > bytes_.size()) {
          return Incomplete(FormatText(
              "%s: field %d of %s at byte %d is %d bytes long, but %d are left",
              path_, field.number, Message(), offset, length, bytes_.size()));
        }
        field.bytes = bytes_.substr(0, length);
        bytes_.remove_prefix(length);
        return field;
      }
      default:
        return absl::InvalidArgumentError(FormatText(
            "%s: field %d of %s at byte %d has wire type %d, wanted 0, 1, 2 or "
            "5",
            path_, field.number, Message(), offset, field.type));
    }
  }

  // Fails if the field does not have the wire type that `name` requires.
  absl::Status Expect(const WireField& field, std::string_view name,
                      WireType type) const {
    if (field.type == type) return absl::OkStatus();
    return absl::InvalidArgumentError(
        FormatText("%s: %s of %s has wire type %d, wanted %d", path_, name,
                   Message(), field.type, static_cast<int>(type)));
  }

 private:
  std::string Message() const {
    if (!index_.has_value()) return std::string(name_);
    return FormatText("%s[%d]", name_, *index_);
  }

  bool ReadVarint(uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (bytes_.empty()) return false;
      const auto byte = static_cast<uint8_t>(bytes_.front());
      bytes_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  // Reads a little-endian number.
  bool ReadFixed(size_t size, uint64_t& value) {
    if (bytes_.size() < size) return false;
    value = 0;
    for (size_t i = 0; i < size; ++i) {
      value |= static_cast<uint64_t>(static_cast<uint8_t>(bytes_[i]))
               << (8 * i);
    }
    bytes_.remove_prefix(size);
    return true;
  }

  absl::Status CutOff(size_t offset) const {
    return Incomplete(FormatText("%s: %s at byte %d ends inside a field", path_,
                                 Message(), offset));
  }

  static absl::Status Incomplete(std::string_view message) {
    return WithReason(absl::DataLossError(message),
                      ErrorReason::kIncompleteFile);
  }

  std::string_view bytes_;  // the bytes not yet read
  size_t size_;             // bytes of the whole message
  std::string_view path_;
  std::string_view name_;
  std::optional<size_t> index_;
};

absl::StatusOr<Vocabulary::Piece> ReadPiece(std::string_view bytes, size_t id,
                                            std::string_view path) {
  WireReader reader(bytes, path, "pieces", id);
  Vocabulary::Piece piece;
  while (!reader.Done()) {
    const absl::StatusOr<WireField> field = reader.Next();
    if (!field.ok()) return field.status();
    absl::Status status;
    switch (field->number) {
      case kPieceText:
        status = reader.Expect(*field, "piece", kBytes);
        piece.text = std::string(field->bytes);
        break;
      case kPieceScore:
        status = reader.Expect(*field, "score", kFixed32);
        piece.score = std::bit_cast<float>(static_cast<uint32_t>(field->value));
        break;
      case kPieceType:
        status = reader.Expect(*field, "type", kVarint);
        if (status.ok() && (field->value < 1 || field->value > 6)) {
          status = absl::InvalidArgumentError(
              FormatText("%s: type of pieces[%d] is %d, wanted 1 to 6", path,
                         id, field->value));
        }
        piece.type = static_cast<PieceType>(field->value);
        break;
    }
    if (!status.ok()) return status;
  }
  if (piece.text.empty()) {
    return absl::InvalidArgumentError(FormatText(
        "%s: piece of pieces[%d] is empty, wanted a text", path, id));
  }
  return piece;
}

// The special tokens of TrainerSpec; -1 or empty if absent. A text takes
// precedence over a number, as in sentencepiece. The unknown token is not here:
// its piece has a type of its own.
struct TrainerIds {
  int64_t bos = -1, eos = -1, pad = -1;
  std::string_view bos_piece, eos_piece, pad_piece;
};

absl::Status ReadTrainerSpec(std::string_view bytes, std::string_view path,
                             TrainerIds& ids) {
  WireReader reader(bytes, path, "trainer_spec");
  uint64_t model_type = 1;  // the defaults of sentencepiece_model.proto
  uint64_t byte_fallback = 0;
  uint64_t blank_as_suffix = 0;
  struct Number {
    uint32_t field;
    std::string_view name;
    uint64_t& value;
  };
  struct Id {
    uint32_t field;
    std::string_view name;
    int64_t& value;
  };
  struct Text {
    uint32_t field;
    std::string_view name;
    std::string_view& value;
  };
  const Number numbers[] = {
      {kModelType, "model_type", model_type},
      {kByteFallback, "byte_fallback", byte_fallback},
      {kTreatBlankAsSuffix, "treat_whitespace_as_suffix", blank_as_suffix}};
  const Id id_fields[] = {{kBosId, "bos_id", ids.bos},
                          {kEosId, "eos_id", ids.eos},
                          {kPadId, "pad_id", ids.pad}};
  const Text texts[] = {{kBosPiece, "bos_piece", ids.bos_piece},
                        {kEosPiece, "eos_piece", ids.eos_piece},
                        {kPadPiece, "pad_piece", ids.pad_piece}};
  while (!reader.Done()) {
    const absl::StatusOr<WireField> field = reader.Next();
    if (!field.ok()) return field.status();
    absl::Status status;
    for (const Number& number : numbers) {
      if (number.field != field->number) continue;
      status.Update(reader.Expect(*field, number.name, kVarint));
      number.value = field->value;
    }
    for (const Id& id : id_fields) {
      if (id.field != field->number) continue;
      status.Update(reader.Expect(*field, id.name, kVarint));
      id.value = static_cast<int64_t>(field->value);
    }
    for (const Text& text : texts) {
      if (text.field != field->number) continue;
      status.Update(reader.Expect(*field, text.name, kBytes));
      text.value = field->bytes;
    }
    if (!status.ok()) return status;
  }
  if (model_type != kBpe) {
    return absl::InvalidArgumentError(FormatText(
        "%s: trainer_spec.model_type is %d, wanted 2 (BPE)", path, model_type));
  }
  if (byte_fallback == 0) {
    return absl::InvalidArgumentError(FormatText(
        "%s: trainer_spec.byte_fallback is false, wanted true", path));
  }
  if (blank_as_suffix != 0) {
    return absl::InvalidArgumentError(FormatText(
        "%s: trainer_spec.treat_whitespace_as_suffix is true, wanted false",
        path));
  }
  return absl::OkStatus();
}

absl::Status ReadNormalizerSpec(std::string_view bytes, std::string_view path,
                                bool& add_space_prefix) {
  WireReader reader(bytes, path, "normalizer_spec");
  uint64_t add_dummy_prefix = 1;  // the defaults of sentencepiece_model.proto
  uint64_t remove_extra_blanks = 1;
  uint64_t escape_blanks = 1;
  while (!reader.Done()) {
    const absl::StatusOr<WireField> field = reader.Next();
    if (!field.ok()) return field.status();
    absl::Status status;
    switch (field->number) {
      case kCharsMap:
        status = reader.Expect(*field, "precompiled_charsmap", kBytes);
        if (status.ok() && !field->bytes.empty()) {
          status = absl::InvalidArgumentError(FormatText(
              "%s: normalizer_spec.precompiled_charsmap has %d bytes, wanted "
              "none: only the identity normalizer is supported",
              path, field->bytes.size()));
        }
        break;
      case kAddDummyPrefix:
        status = reader.Expect(*field, "add_dummy_prefix", kVarint);
        add_dummy_prefix = field->value;
        break;
      case kRemoveExtraBlanks:
        status = reader.Expect(*field, "remove_extra_whitespaces", kVarint);
        remove_extra_blanks = field->value;
        break;
      case kEscapeBlanks:
        status = reader.Expect(*field, "escape_whitespaces", kVarint);
        escape_blanks = field->value;
        break;
    }
    if (!status.ok()) return status;
  }
  if (remove_extra_blanks != 0 || escape_blanks == 0) {
    return absl::InvalidArgumentError(
        FormatText("%s: normalizer_spec.remove_extra_whitespaces is %s and "
                   "escape_whitespaces is %s, wanted false and true",
                   path, remove_extra_blanks != 0 ? "true" : "false",
                   escape_blanks != 0 ? "true" : "false"));
  }
  add_space_prefix = add_dummy_prefix != 0;
  return absl::OkStatus();
}

// Returns the id of the piece `text`, or else `id`, or -1 if the vocabulary has
// neither.
TokenId IdOf(const Vocabulary& vocabulary, std::string_view text, int64_t id) {
  const std::vector<Vocabulary::Piece>& pieces = vocabulary.pieces;
  for (size_t i = 0; i < pieces.size() && !text.empty(); ++i) {
    if (pieces[i].text == text) return static_cast<TokenId>(i);
  }
  if (id < 0 || static_cast<uint64_t>(id) >= pieces.size()) return -1;
  return static_cast<TokenId>(id);
}

}  // namespace

absl::StatusOr<Vocabulary> VocabularyFromModelProto(
    absl::Span<const uint8_t> bytes, std::string_view path) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()),
                              bytes.size());
  WireReader reader(text, path, "the sentencepiece model");
  Vocabulary vocabulary;
  TrainerIds ids;
  bool has_trainer_spec = false;
  bool has_normalizer_spec = false;
  while (!reader.Done()) {
    const absl::StatusOr<WireField> field = reader.Next();
    if (!field.ok()) return field.status();
    absl::Status status;
    switch (field->number) {
      case kPieces: {
        const size_t id = vocabulary.pieces.size();
        status = reader.Expect(*field, "pieces", kBytes);
        if (!status.ok()) break;
        if (id == kMaxPieces) {
          status = absl::InvalidArgumentError(
              FormatText("%s: more than %d pieces, wanted at most as many",
                         path, kMaxPieces));
          break;
        }
        absl::StatusOr<Vocabulary::Piece> piece =
            ReadPiece(field->bytes, id, path);
        status = piece.status();
        if (status.ok()) vocabulary.pieces.push_back(*std::move(piece));
        break;
      }
      case kTrainerSpec:
        has_trainer_spec = true;
        status = reader.Expect(*field, "trainer_spec", kBytes);
        status.Update(ReadTrainerSpec(field->bytes, path, ids));
        break;
      case kNormalizerSpec:
        has_normalizer_spec = true;
        status = reader.Expect(*field, "normalizer_spec", kBytes);
        status.Update(ReadNormalizerSpec(field->bytes, path,
                                         vocabulary.add_space_prefix));
        break;
    }
    if (!status.ok()) return status;
  }
  if (vocabulary.pieces.empty() || !has_trainer_spec || !has_normalizer_spec) {
    return absl::InvalidArgumentError(FormatText(
        "%s: the sentencepiece model has %d pieces, %s trainer_spec and %s "
        "normalizer_spec, wanted all three",
        path, vocabulary.pieces.size(), has_trainer_spec ? "a" : "no",
        has_normalizer_spec ? "a" : "no"));
  }
  vocabulary.bos = IdOf(vocabulary, ids.bos_piece, ids.bos);
  vocabulary.eos = IdOf(vocabulary, ids.eos_piece, ids.eos);
  vocabulary.pad = IdOf(vocabulary, ids.pad_piece, ids.pad);
  const absl::Status status = Canonicalize(vocabulary, path);
  if (!status.ok()) return status;
  return vocabulary;
}

}  // namespace gemma::internal
