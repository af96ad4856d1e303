#include "absl/strings/str_replace.h"
#include "src/base/internal.h"
#include "src/base/utf8.h"
#include "src/text/tokenizer/tokenizer_impl.h"

namespace gemma {
namespace {

// Removes the bytes that later bytes cannot change and returns them as text:
// whole characters, and U+FFFD for each byte outside a valid character.
std::string TakeText(std::string& bytes) {
  std::string text;
  std::string_view rest = bytes;
  while (!rest.empty()) {
    const size_t size = Utf8PrefixLength(rest);
    if (size == 0) {
      text += kReplacementCharacter;
      rest.remove_prefix(1);
      continue;
    }
    if (size < Utf8Length(rest[0])) break;  // the next token may complete it
    text += rest.substr(0, size);
    rest.remove_prefix(size);
  }
  bytes.erase(0, bytes.size() - rest.size());
  return text;
}

}  // namespace

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer)
    : tokenizer_(tokenizer) {}

std::string StreamDecoder::Append(TokenId token) {
  const Tokenizer::Impl& impl = tokenizer_.impl();
  if (!impl.Contains(token)) return Finish();
  const std::string_view piece = impl.piece(token);
  switch (impl.type(token)) {
    case PieceType::kByte:
      pending_.push_back(static_cast<char>(*ByteOfPiece(piece)));
      return TakeText(pending_);
    case PieceType::kControl:
      if (IsPrintedControl(piece)) return Finish() + std::string(piece);
      return Finish();
    case PieceType::kUnknown:
      return Finish();
    case PieceType::kNormal:
    case PieceType::kUserDefined:
    case PieceType::kUnused:
      return Finish() + absl::StrReplaceAll(piece, {{kBlank, " "}});
  }
  return Finish();
}

std::string StreamDecoder::Finish() {
  std::string text;
  for (size_t i = 0; i < pending_.size(); ++i) text += kReplacementCharacter;
  pending_.clear();
  return text;
}

}  // namespace gemma
