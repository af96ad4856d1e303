// Converts text to tokens and back.

#ifndef GEMMA_TOKENIZER_H_
#define GEMMA_TOKENIZER_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/export.h"
#include "gemma/model_config.h"

namespace gemma {

// Whether the names of control tokens in a text, for example
// "<start_of_turn>", become those tokens.
enum class ControlTokens {
  kAsText,  // never: the text of a message cannot open or close a turn
  kParse,   // always: the caller wrote them
};

// The vocabulary of a model. All Gemma vocabularies are sentencepiece BPE
// models, in every file format. Immutable and cheap to copy: copies share the
// vocabulary. Any number of threads may use a tokenizer at the same time.
class GEMMA_EXPORT Tokenizer {
 public:
  // Reads only the tokenizer of a model, from a file or directory that
  // Model::Load accepts, without reading weights. NotFound if the model has no
  // tokenizer.
  static absl::StatusOr<Tokenizer> Load(std::string_view path);

  ~Tokenizer();
  Tokenizer(const Tokenizer&) noexcept;             // shares the vocabulary
  Tokenizer& operator=(const Tokenizer&) noexcept;  // likewise
  // A moved-from tokenizer may only be assigned to or destroyed.
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  // Returns the number of pieces. The model's vocab_size may be larger (padding
  // rows), or smaller: the files may name tokens, for example
  // "<image_soft_token>", that the embedding table has no row for.
  size_t vocab_size() const;

  // Returns the token that begins a text.
  TokenId bos() const;
  // Returns the token that ends a text.
  TokenId eos() const;

  // Returns the tokens of `text`, without BOS. Bytes that are not UTF-8 become
  // U+FFFD, as in sentencepiece. InvalidArgument if 32 MiB have no newline or,
  // for the tokenizer of a Model, if the text contains a token that the
  // embedding table has no row for; the error names the token.
  absl::StatusOr<std::vector<TokenId>> Encode(
      std::string_view text,
      ControlTokens control_tokens = ControlTokens::kAsText) const;

  // Returns the text of the tokens. Control tokens (BOS, turn markers, ...) and
  // tokens outside the vocabulary have no text, except that the control tokens
  // of an answer's structure, those of thoughts and of calls of tools in Gemma
  // 4 and FunctionGemma, have their names as text. Byte tokens are joined; an
  // incomplete UTF-8 sequence becomes U+FFFD. For text that grows token by
  // token, use StreamDecoder.
  std::string Decode(absl::Span<const TokenId> tokens) const;

  // Returns the token whose piece is exactly `piece`, for example
  // "<end_of_turn>".
  std::optional<TokenId> Find(std::string_view piece) const;

  // Returns the piece of a token as the vocabulary spells it ("\u2581the",
  // "<0x0A>"), or empty if the token does not exist. Valid while any copy of
  // the tokenizer exists.
  std::string_view Piece(TokenId token) const;

  // Returns whether the token is a control token. Text never becomes one.
  bool IsControl(TokenId token) const;

  // Returns one line for each thing in the tokenizer's files that is replaced
  // by a default or not honoured: the file, the field, what was found and what
  // is done. Valid while any copy of the tokenizer exists.
  absl::Span<const std::string> notes() const;

  // Internal; see src/text/tokenizer/tokenizer_impl.h.
  class Impl;
  // Internal.
  explicit Tokenizer(std::shared_ptr<const Impl> impl);
  // Internal.
  const Impl& impl() const { return *impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

// Converts tokens that arrive one by one to text, in whole UTF-8 characters.
class GEMMA_EXPORT StreamDecoder {
 public:
  // Creates a decoder, which shares the tokenizer's vocabulary.
  explicit StreamDecoder(const Tokenizer& tokenizer);

  // Returns the text that `token` completes, possibly empty.
  std::string Append(TokenId token);

  // Returns the rest at the end: U+FFFD for each byte of an incomplete
  // character.
  std::string Finish();

 private:
  Tokenizer tokenizer_;
  std::string pending_;  // bytes of an incomplete UTF-8 character
};

}  // namespace gemma

#endif  // GEMMA_TOKENIZER_H_
