#include "tests/support/model_proto.h"

#include <bit>
#include <cstdint>
#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"

namespace gemma::internal {
namespace {

// Field numbers of sentencepiece_model.proto.
enum ModelProtoField { kPieces = 1, kTrainerSpec = 2, kNormalizerSpec = 3 };
enum PieceField { kPieceText = 1, kPieceScore = 2, kPieceType = 3 };
enum TrainerField {
  kModelType = 3,
  kVocabSize = 4,
  kByteFallback = 35,
  kUnkId = 40,
  kBosId = 41,
  kEosId = 42,
  kPadId = 43,
  kUnkPiece = 45,
  kBosPiece = 46,
  kEosPiece = 47,
  kPadPiece = 48,
};
enum NormalizerField {
  kNormalizerName = 1,
  kAddDummyPrefix = 3,
  kRemoveExtraBlanks = 4,
  kEscapeBlanks = 5,
};

constexpr uint64_t kBpe = 2;  // TrainerSpec.ModelType

enum WireType { kVarint = 0, kBytes = 2, kFixed32 = 5 };

// Appends fields to a message.
class WireWriter {
 public:
  void Varint(uint32_t field, uint64_t value) {
    AppendVarint((field << 3) | kVarint);
    AppendVarint(value);
  }
  void Float(uint32_t field, float value) {
    AppendVarint((field << 3) | kFixed32);
    const auto bits = std::bit_cast<uint32_t>(value);
    for (int shift = 0; shift < 32; shift += 8) {
      bytes_.push_back(static_cast<char>((bits >> shift) & 0xFF));
    }
  }
  void Bytes(uint32_t field, std::string_view value) {
    AppendVarint((field << 3) | kBytes);
    AppendVarint(value.size());
    bytes_.append(value);
  }

  const std::string& bytes() const { return bytes_; }
  std::string Release() { return std::move(bytes_); }
  void Clear() { bytes_.clear(); }

 private:
  void AppendVarint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
      bytes_.push_back(static_cast<char>((value & 0x7F) | 0x80));
    }
    bytes_.push_back(static_cast<char>(value));
  }

  std::string bytes_;
};

}  // namespace

std::string SerializeModelProto(const Vocabulary& vocabulary) {
  WireWriter model, part;
  for (size_t i = 0; i < vocabulary.pieces.size(); ++i) {
    const Vocabulary::Piece& piece = vocabulary.pieces[i];
    part.Clear();
    if (piece.text.empty()) {
      // sentencepiece needs a name for every id. This name is not UTF-8, so it
      // cannot occur in a text or as another piece.
      part.Bytes(kPieceText, absl::StrFormat("\xFF%d", i));
    } else {
      part.Bytes(kPieceText, piece.text);
    }
    part.Float(kPieceScore, piece.score);
    part.Varint(kPieceType, static_cast<uint64_t>(piece.type));
    model.Bytes(kPieces, part.bytes());
  }

  part.Clear();
  part.Varint(kModelType, kBpe);
  part.Varint(kVocabSize, vocabulary.pieces.size());
  part.Varint(kByteFallback, 1);
  struct Id {
    TokenId id;
    uint32_t id_field, piece_field;
  };
  for (const Id& id : {Id{vocabulary.unk, kUnkId, kUnkPiece},
                       Id{vocabulary.bos, kBosId, kBosPiece},
                       Id{vocabulary.eos, kEosId, kEosPiece},
                       Id{vocabulary.pad, kPadId, kPadPiece}}) {
    // protobuf extends the sign, so a negative number takes ten bytes.
    part.Varint(id.id_field, static_cast<uint64_t>(int64_t{id.id}));
    if (id.id >= 0 && static_cast<size_t>(id.id) < vocabulary.pieces.size()) {
      part.Bytes(id.piece_field, vocabulary.pieces[id.id].text);
    }
  }
  model.Bytes(kTrainerSpec, part.bytes());

  part.Clear();
  part.Bytes(kNormalizerName, "identity");
  part.Varint(kAddDummyPrefix, vocabulary.add_space_prefix ? 1 : 0);
  part.Varint(kRemoveExtraBlanks, 0);
  part.Varint(kEscapeBlanks, 1);
  model.Bytes(kNormalizerSpec, part.bytes());
  return model.Release();
}

}  // namespace gemma::internal
