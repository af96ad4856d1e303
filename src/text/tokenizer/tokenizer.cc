#include <algorithm>
#include <string>
#include <utility>

#include "src/base/format_text.h"
#include "src/base/internal.h"
#include "src/base/no_throw.h"
#include "src/base/utf8.h"
#include "src/text/tokenizer/tokenizer_impl.h"

namespace gemma {
namespace {

// Encoding takes about 60 bytes of memory for each byte of text. It is fastest
// when that memory fits in the cache.
constexpr size_t kPartBytes = size_t{1} << 15;
constexpr size_t kMaxPartBytes = size_t{1} << 25;

// Whether a text may be cut after each run of newlines without changing its
// tokens. It may if newlines merge only with newlines.
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

absl::Status CheckSize(std::string_view text) {
  if (text.size() <= kMaxPartBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(FormatText(
      "the text to encode has %d bytes without a newline to cut it at, "
      "wanted at most %d",
      text.size(), kMaxPartBytes));
}

// Replaces each byte outside a valid character.
std::string WithValidUtf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t size = Utf8CharacterLength(text);
    out += size == 0 ? kReplacementCharacter : text.substr(0, size);
    text.remove_prefix(std::max(size, size_t{1}));
  }
  return out;
}

PrefixMatcher ControlMatcher(const Vocabulary& vocabulary) {
  std::vector<PrefixMatcher::Entry> controls;
  for (size_t i = 0; i < vocabulary.pieces.size(); ++i) {
    const Vocabulary::Piece& piece = vocabulary.pieces[i];
    if (IsControlType(piece.type)) {
      controls.push_back({piece.text, static_cast<TokenId>(i)});
    }
  }
  return PrefixMatcher(std::move(controls));
}

}  // namespace

absl::StatusOr<Tokenizer> internal::MakeTokenizer(Vocabulary vocabulary,
                                                  std::string_view path,
                                                  size_t num_rows) {
  absl::StatusOr<std::unique_ptr<const Tokenizer::Impl>> impl =
      Tokenizer::Impl::Create(std::move(vocabulary), path, num_rows);
  if (!impl.ok()) return impl.status();
  return Tokenizer(*std::move(impl));
}

absl::StatusOr<std::unique_ptr<const Tokenizer::Impl>> Tokenizer::Impl::Create(
    Vocabulary vocabulary, std::string_view path, size_t num_rows) {
  absl::Status status = Validate(vocabulary, path);
  if (!status.ok()) return status;

  std::unique_ptr<Impl> impl(new Impl(std::move(vocabulary), num_rows));
  status = impl->index_.Fill(path);
  if (!status.ok()) return status;
  impl->encoder_.emplace(&impl->vocabulary_, &impl->index_);
  if (impl->vocabulary_.rules.has_value()) {
    impl->splitter_.emplace(impl->vocabulary_);
  }
  impl->controls_ = ControlMatcher(impl->vocabulary_);
  impl->newlines_separate_ = NewlinesSeparate(impl->vocabulary_);
  return impl;
}

absl::Status Tokenizer::Impl::EncodeText(std::string_view text, bool prefix,
                                         std::vector<TokenId>& tokens) const {
  if (has_rules()) return EncodeByRules(text, {.prefix = prefix}, tokens);
  const size_t first = tokens.size();
  const absl::Status status =
      EncodeParts(text, prefix && vocabulary_.add_space_prefix, tokens);
  if (!status.ok()) return status;
  return CheckRows(absl::MakeSpan(tokens).subspan(first));
}

absl::Status Tokenizer::Impl::CheckRows(
    absl::Span<const TokenId> tokens) const {
  if (vocab_size() <= num_rows_) return absl::OkStatus();
  for (const TokenId token : tokens) {
    if (static_cast<size_t>(token) < num_rows_) continue;
    return absl::InvalidArgumentError(FormatText(
        "the text contains %s, token %d: the embedding table has rows only for "
        "tokens 0 to %d",
        QuotedPiece(piece(token)), token, num_rows_ - 1));
  }
  return absl::OkStatus();
}

absl::Status Tokenizer::Impl::EncodeParts(std::string_view text,
                                          bool add_space_prefix,
                                          std::vector<TokenId>& tokens) const {
  while (newlines_separate_ && text.size() > kPartBytes) {
    // The part ends after the first run of newlines beyond kPartBytes.
    size_t end = text.find('\n', kPartBytes);
    if (end != std::string_view::npos) end = text.find_first_not_of('\n', end);
    if (end == std::string_view::npos) break;
    if (end > kMaxPartBytes) break;
    encoder_->Encode(text.substr(0, end), add_space_prefix, tokens);
    text.remove_prefix(end);
  }
  const absl::Status status = CheckSize(text);
  if (!status.ok()) return status;
  encoder_->Encode(text, add_space_prefix, tokens);
  return absl::OkStatus();
}

absl::Status Tokenizer::Impl::EncodeByRules(
    std::string_view text, const TextSplitter::Options& options,
    std::vector<TokenId>& tokens) const {
  const size_t first = tokens.size();
  absl::Status status;
  splitter_->Split(
      WithValidUtf8(text), options,
      [&](TokenId token) { tokens.push_back(token); },
      [&](std::string_view part) {
        status.Update(CheckSize(part));
        if (status.ok()) encoder_->EncodeNormalized(part, tokens);
      });
  if (!status.ok()) return status;
  return CheckRows(absl::MakeSpan(tokens).subspan(first));
}

Tokenizer::Tokenizer(std::shared_ptr<const Impl> impl)
    : impl_(std::move(impl)) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(const Tokenizer&) noexcept = default;
Tokenizer& Tokenizer::operator=(const Tokenizer&) noexcept = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

size_t Tokenizer::vocab_size() const { return impl_->vocab_size(); }
TokenId Tokenizer::bos() const { return impl_->bos(); }
TokenId Tokenizer::eos() const { return impl_->eos(); }

absl::StatusOr<std::vector<TokenId>> Tokenizer::Encode(
    std::string_view text, ControlTokens control_tokens) const {
  return NoThrow([&]() -> absl::StatusOr<std::vector<TokenId>> {
    std::vector<TokenId> tokens;
    absl::Status status;
    if (control_tokens == ControlTokens::kAsText) {
      status = impl_->EncodeText(text, tokens);
    } else if (impl_->has_rules()) {
      status = impl_->EncodeByRules(text, {.controls = true}, tokens);
    } else {
      std::vector<size_t> no_cuts;
      status = impl_->EncodeMarked(MarkedText(text, TextOrigin::kTemplate), 0,
                                   {}, tokens, no_cuts);
    }
    if (!status.ok()) return status;
    return tokens;
  });
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

absl::Span<const std::string> Tokenizer::notes() const {
  return impl_->vocabulary().notes;
}

bool Tokenizer::IsControl(TokenId token) const {
  return impl_->Contains(token) && impl_->IsControl(token);
}

}  // namespace gemma
