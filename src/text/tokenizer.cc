#include <algorithm>
#include <exception>
#include <functional>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "src/text/tokenizer_impl.h"

namespace gemma {
namespace {

// sentencepiece needs some 60 bytes of memory for each of a text, and is
// fastest when they stay in the cache.
constexpr size_t kPartBytes = size_t{1} << 15;
constexpr size_t kMaxPartBytes = size_t{1} << 25;

// Whether the tokens of a text are those of its parts, if it is cut where a run
// of newlines ends. They are if newlines never merge with anything else.
bool NewlinesSeparate(const Vocabulary& vocabulary) {
  if (vocabulary.add_space_prefix) return false;
  bool has_newline = false;
  for (const Vocabulary::Piece& piece : vocabulary.pieces) {
    if (piece.type != PieceType::kUserDefined) continue;
    if (piece.text.find('\n') == std::string::npos) continue;
    if (piece.text.find_first_not_of('\n') != std::string::npos) return false;
    has_newline |= piece.text.size() == 1;
  }
  return has_newline;
}

}  // namespace

absl::StatusOr<Tokenizer> MakeTokenizer(Vocabulary vocabulary,
                                        std::string_view path) {
  absl::StatusOr<std::unique_ptr<const Tokenizer::Impl>> impl =
      Tokenizer::Impl::Create(std::move(vocabulary), path);
  if (!impl.ok()) return impl.status();
  return Tokenizer(*std::move(impl));
}

absl::StatusOr<std::unique_ptr<const Tokenizer::Impl>> Tokenizer::Impl::Create(
    Vocabulary vocabulary, std::string_view path) {
  absl::Status status = Validate(vocabulary, path);
  if (!status.ok()) return status;

  std::unique_ptr<Impl> impl(new Impl);
  impl->bos_ = vocabulary.bos;
  impl->eos_ = vocabulary.eos;
  impl->newlines_separate_ = NewlinesSeparate(vocabulary);
  impl->types_.reserve(vocabulary.pieces.size());
  for (const Vocabulary::Piece& piece : vocabulary.pieces) {
    impl->types_.push_back(piece.type);
  }
  const std::string model = SerializeModelProto(vocabulary);
  vocabulary = Vocabulary();  // sentencepiece keeps a copy of its own

  try {
    const sentencepiece::util::Status loaded =
        impl->processor_.LoadFromSerializedProto(model);
    if (!loaded.ok()) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s: sentencepiece refuses the vocabulary: %s", path,
                          absl::CHexEscape(loaded.message())));
    }
  } catch (const std::exception& e) {  // out of memory
    return absl::ResourceExhaustedError(absl::StrFormat(
        "%s: sentencepiece fails to load the vocabulary: %s", path, e.what()));
  }

  for (size_t i = 0; i < impl->types_.size(); ++i) {
    const auto token = static_cast<TokenId>(i);
    const std::string_view piece = impl->piece(token);
    if (impl->types_[i] != PieceType::kControl &&
        impl->types_[i] != PieceType::kUnknown) {
      continue;
    }
    impl->controls_.emplace(piece, token);
    impl->control_sizes_[static_cast<uint8_t>(piece[0])].push_back(
        piece.size());
  }
  for (std::vector<size_t>& sizes : impl->control_sizes_) {
    std::sort(sizes.begin(), sizes.end(), std::greater<>());
    sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  }
  return impl;
}

std::string_view Tokenizer::Impl::piece(TokenId token) const {
  const std::string_view text = processor_.IdToPiece(token);
  // An id without a piece; see SerializeModelProto.
  if (type(token) == PieceType::kUnused && text[0] == '\xFF') return {};
  return text;
}

std::optional<TokenId> Tokenizer::Impl::Find(std::string_view piece) const {
  if (piece.empty()) return std::nullopt;
  const TokenId token = processor_.PieceToId(piece);  // the unknown if missing
  if (this->piece(token) != piece) return std::nullopt;
  return token;
}

absl::Status Tokenizer::Impl::EncodeText(std::string_view text,
                                         std::vector<TokenId>& tokens) const {
  while (newlines_separate_ && text.size() > kPartBytes) {
    // To the end of the first run of newlines beyond kPartBytes.
    size_t end = text.find('\n', kPartBytes);
    if (end != std::string_view::npos) end = text.find_first_not_of('\n', end);
    if (end == std::string_view::npos) break;
    const absl::Status status = EncodePart(text.substr(0, end), tokens);
    if (!status.ok()) return status;
    text.remove_prefix(end);
  }
  return EncodePart(text, tokens);
}

absl::Status Tokenizer::Impl::EncodePart(std::string_view text,
                                         std::vector<TokenId>& tokens) const {
  if (text.empty()) return absl::OkStatus();
  if (text.size() > kMaxPartBytes) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the text to encode has %d bytes without a newline to cut it at, "
        "wanted at most %d",
        text.size(), kMaxPartBytes));
  }
  try {
    std::vector<int> ids;
    const sentencepiece::util::Status status = processor_.Encode(text, &ids);
    if (!status.ok()) {
      return absl::InternalError(absl::StrFormat(
          "sentencepiece fails to encode a text: %s", status.message()));
    }
    tokens.insert(tokens.end(), ids.begin(), ids.end());
  } catch (const std::exception& e) {  // out of memory
    return absl::ResourceExhaustedError(absl::StrFormat(
        "sentencepiece fails to encode %d bytes: %s", text.size(), e.what()));
  }
  return absl::OkStatus();
}

std::optional<TokenId> Tokenizer::Impl::MatchControl(
    std::string_view text) const {
  if (text.empty()) return std::nullopt;
  for (size_t size : control_sizes_[static_cast<uint8_t>(text[0])]) {
    if (size > text.size()) continue;
    const auto it = controls_.find(text.substr(0, size));
    if (it != controls_.end()) return it->second;
  }
  return std::nullopt;
}

Tokenizer::Tokenizer(std::unique_ptr<const Impl> impl)
    : impl_(std::move(impl)) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

size_t Tokenizer::vocab_size() const { return impl_->vocab_size(); }
TokenId Tokenizer::bos() const { return impl_->bos(); }
TokenId Tokenizer::eos() const { return impl_->eos(); }

absl::StatusOr<std::vector<TokenId>> Tokenizer::Encode(
    std::string_view text, ControlTokens control_tokens) const {
  std::vector<TokenId> tokens;
  if (control_tokens == ControlTokens::kAsText) {
    const absl::Status status = impl_->EncodeText(text, tokens);
    if (!status.ok()) return status;
    return tokens;
  }

  size_t begin = 0;  // of the stretch that is not encoded yet
  for (size_t i = 0; i < text.size();) {
    std::optional<TokenId> control;
    if (impl_->MayStartControl(text[i])) {
      control = impl_->MatchControl(text.substr(i));
    }
    if (!control.has_value()) {
      ++i;
      continue;
    }
    const absl::Status status =
        impl_->EncodeText(text.substr(begin, i - begin), tokens);
    if (!status.ok()) return status;
    tokens.push_back(*control);
    i += impl_->piece(*control).size();
    begin = i;
  }
  const absl::Status status = impl_->EncodeText(text.substr(begin), tokens);
  if (!status.ok()) return status;
  return tokens;
}

std::string Tokenizer::Decode(absl::Span<const TokenId> tokens) const {
  StreamDecoder decoder(*this);
  std::string text;
  for (TokenId token : tokens) text += decoder.Append(token);
  text += decoder.Finish();
  return text;
}

std::optional<TokenId> Tokenizer::Find(std::string_view piece) const {
  return impl_->Find(piece);
}

std::string_view Tokenizer::Piece(TokenId token) const {
  if (!impl_->Contains(token)) return {};
  return impl_->piece(token);
}

bool Tokenizer::IsControl(TokenId token) const {
  if (!impl_->Contains(token)) return false;
  const PieceType type = impl_->type(token);
  return type == PieceType::kControl || type == PieceType::kUnknown;
}

}  // namespace gemma
