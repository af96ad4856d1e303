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
  // tokens outside the vocabulary have no text. Byte tokens are joined; an
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

  // Returns whether the token is a control token, which has no text.
  bool IsControl(TokenId token) const;

  // Returns one line for each thing in the tokenizer's files that is replaced
  // by a default or not honoured: the file, the field, what was found and what
  // is done. Valid while any copy of the tokenizer exists.
  absl::Span<const std::string> notes() const;

  // Internal; see src/text/tokenizer_impl.h.
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

// The author of a message.
enum class Role {
  kSystem,  // the program: instructions to the model
  kUser,    // the user: the model answers this
  kModel,   // the model: an answer
};

// One message of a chat.
struct Message {
  Role role = Role::kUser;  // its author
  std::string text;         // UTF-8
};

// The tokens that a session reads for a chat, and where answers end in them.
struct ChatPrompt {
  std::vector<TokenId> tokens;  // all that is read
  // For each answer of the model in `tokens`: how many tokens come before its
  // end, that is, before the tokens that close it.
  std::vector<size_t> answer_ends;
  // Whether `tokens` begin with the beginning of the chat.
  bool whole = true;
};

// The turns of a chat. Either Gemma's own, as its published templates write
// them: <start_of_turn>user\n...<end_of_turn>\n<start_of_turn>model\n. Or those
// of a template in Jinja, the language of chat templates in model files. Such a
// template has access to nothing but the chat, and a limit on its steps and
// memory. The text of a message never becomes a control token, whatever a
// template does with it. Immutable and cheap to copy.
class GEMMA_EXPORT ChatTemplate {
 public:
  // Returns Gemma's own turns. Fails if the vocabulary lacks turn markers.
  static absl::StatusOr<ChatTemplate> Create(const Tokenizer& tokenizer);

  // Returns the turns of a template in Jinja, which gives the tokens that
  // transformers' apply_chat_template gives with add_generation_prompt. `name`
  // is for messages. The template sees the roles system, user and assistant; if
  // it refuses or ignores the role system but knows developer, instructions
  // have that role. Errors: Unimplemented for parts of Jinja that are not
  // supported, InvalidArgument for other faults of the template. Both have
  // ErrorReason::kChatTemplate.
  static absl::StatusOr<ChatTemplate> FromJinja(const Tokenizer& tokenizer,
                                                std::string_view source,
                                                std::string_view name);

  ~ChatTemplate();
  ChatTemplate(const ChatTemplate&) noexcept;             // shares all
  ChatTemplate& operator=(const ChatTemplate&) noexcept;  // likewise
  // A moved-from template may only be assigned to or destroyed.
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  // Returns BOS, all messages, and the opening of the model's next turn.
  //
  // Gemma's own turns: the text of user and model is trimmed. Only the first
  // message may be a system message; it is put, untrimmed, before the first
  // user message, separated by a blank line. The other messages must alternate
  // between user and model, beginning and ending with the user; otherwise
  // InvalidArgument.
  //
  // A template in Jinja decides all of this itself, also whether there is a
  // BOS. InvalidArgument, with the template's own words, if it refuses the
  // messages, and if it would ignore a system message.
  absl::StatusOr<std::vector<TokenId>> Render(
      absl::Span<const Message> messages) const;

  // Returns what a session must read to answer the last message. It has read
  // the first `num_read` messages: 0, or up to and including an answer, without
  // the tokens that close it. If the template only adds text to a chat, these
  // are the tokens from the end of that answer on. If it changes earlier turns,
  // for example by leaving out what a model thought, or the blanks around the
  // answer, they are those of the whole chat; the session then goes back to
  // where its tokens differ.
  //
  // The tokens are those of Render, except that text after an answer is encoded
  // apart from it, which matters only for templates that close answers with
  // text.
  absl::StatusOr<ChatPrompt> Continue(absl::Span<const Message> messages,
                                      size_t num_read) const;

  // Returns a first user turn: BOS, the turn, and the opening of the model's
  // turn.
  absl::StatusOr<std::vector<TokenId>> UserTurn(
      std::string_view text, std::string_view system = "") const;

  // Returns a later user turn, for a sequence that ends in the model's answer
  // without its end of turn: closes the answer, then as UserTurn without BOS.
  // FailedPrecondition if the template changes earlier turns; use Continue.
  absl::StatusOr<std::vector<TokenId>> NextUserTurn(
      std::string_view text) const;

  // Returns the token that ends a turn of the model, or -1 if the template
  // closes answers without a control token. The models of a file stop at it;
  // for a template made by FromJinja, add it to GenerateOptions::stop_tokens.
  TokenId end_of_turn() const;

  // Returns whether these are Gemma's own turns.
  bool is_gemma() const;

  // Returns the place of a template in Jinja, for example "m.gguf:
  // tokenizer.chat_template", or "" for Gemma's own turns.
  const std::string& source() const;

  // Returns why a model uses these turns, for example "it makes other tokens of
  // an answer than Gemma's own turns", or "" if the caller chose them.
  const std::string& reason() const;

  // Internal; see src/text/chat_template_impl.h.
  class Impl;
  // Internal.
  explicit ChatTemplate(std::shared_ptr<const Impl> impl);
  // Internal.
  const Impl& impl() const { return *impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

}  // namespace gemma

#endif  // GEMMA_TOKENIZER_H_
