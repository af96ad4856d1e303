// Text to tokens and back.

#ifndef GEMMA_TOKENIZER_H_
#define GEMMA_TOKENIZER_H_

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
  kParse,   // yes: the caller wrote them
};

// The vocabulary of a model. Gemma's are sentencepiece BPE models, whatever
// file they come from. Immutable, and cheap to copy: copies share the
// vocabulary. Any number of threads may use one.
class GEMMA_EXPORT Tokenizer {
 public:
  // Reads the tokenizer of a model alone, from a file or directory that
  // Model::Load takes: no weights are touched. NotFound if it has none.
  static absl::StatusOr<Tokenizer> Load(std::string_view path);

  ~Tokenizer();
  Tokenizer(const Tokenizer&) noexcept;             // shares it
  Tokenizer& operator=(const Tokenizer&) noexcept;  // as above
  // A tokenizer that was moved from may only be assigned to or destroyed.
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  // Number of pieces. The model's vocab_size may be larger (padding rows).
  size_t vocab_size() const;

  // The token that begins a text.
  TokenId bos() const;
  // The token that ends a text.
  TokenId eos() const;

  // Tokens of `text`, without BOS. Bytes that are not UTF-8 become U+FFFD, as
  // in sentencepiece. InvalidArgument if 32 MiB have no newline.
  absl::StatusOr<std::vector<TokenId>> Encode(
      std::string_view text,
      ControlTokens control_tokens = ControlTokens::kAsText) const;

  // Text of the tokens. Control tokens (BOS, turn markers, ...) have none;
  // tokens outside the vocabulary have none either. Byte tokens are joined; an
  // incomplete UTF-8 sequence becomes U+FFFD. For text that grows token by
  // token use StreamDecoder.
  std::string Decode(absl::Span<const TokenId> tokens) const;

  // The token whose piece is exactly `piece`, for example "<end_of_turn>".
  std::optional<TokenId> Find(std::string_view piece) const;

  // The piece of a token as the vocabulary spells it ("\u2581the", "<0x0A>"),
  // empty if there is no such token. Valid while any copy of the tokenizer
  // lives.
  std::string_view Piece(TokenId token) const;

  // Whether the token is a control token: it has no text.
  bool IsControl(TokenId token) const;

  // The library's own; see src/text/tokenizer_impl.h.
  class Impl;
  // The library's own.
  explicit Tokenizer(std::shared_ptr<const Impl> impl);
  // The library's own.
  const Impl& impl() const { return *impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

// Turns tokens that arrive one by one into text, whole UTF-8 characters only.
class GEMMA_EXPORT StreamDecoder {
 public:
  // Decodes what the tokenizer encodes.
  explicit StreamDecoder(const Tokenizer& tokenizer);

  // Text that `token` completes, possibly empty.
  std::string Append(TokenId token);

  // What is left at the end: U+FFFD for each byte of an incomplete character.
  std::string Finish();

 private:
  Tokenizer tokenizer_;
  std::string pending_;  // bytes of an incomplete UTF-8 character
};

// Whose a message is.
enum class Role {
  kSystem,  // the program's: what the model shall keep to
  kUser,    // what the model answers
  kModel,   // an answer
};

// One message of a chat.
struct Message {
  Role role = Role::kUser;  // who says it
  std::string text;         // UTF-8
};

// Gemma's turns: <start_of_turn>user\n...<end_of_turn>\n<start_of_turn>model\n.
// The text of a message never becomes a control token.
class GEMMA_EXPORT ChatTemplate {
 public:
  // Fails if the vocabulary has no turn markers.
  static absl::StatusOr<ChatTemplate> Create(const Tokenizer& tokenizer);

  // BOS, all messages, and the opening of the model's next turn. Text of user
  // and model is trimmed. A system message may only come first and is put, as
  // it is, in front of the first user message, separated by a blank line. Roles
  // must alternate, beginning and ending with the user; else InvalidArgument.
  absl::StatusOr<std::vector<TokenId>> Render(
      absl::Span<const Message> messages) const;

  // A first user turn: BOS, the turn, and the opening of the model's.
  absl::StatusOr<std::vector<TokenId>> UserTurn(
      std::string_view text, std::string_view system = "") const;

  // A later user turn, for a cache that ends in the model's answer without its
  // <end_of_turn>: closes the answer, then as UserTurn without BOS.
  absl::StatusOr<std::vector<TokenId>> NextUserTurn(
      std::string_view text) const;

  // The token that ends a turn; generation stops at it.
  TokenId end_of_turn() const { return end_of_turn_; }

 private:
  ChatTemplate(const Tokenizer& tokenizer, TokenId start, TokenId end)
      : tokenizer_(tokenizer), start_of_turn_(start), end_of_turn_(end) {}

  Tokenizer tokenizer_;
  TokenId start_of_turn_;
  TokenId end_of_turn_;
};

}  // namespace gemma

#endif  // GEMMA_TOKENIZER_H_
