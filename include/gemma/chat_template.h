// Turns the messages of a chat into tokens.

#ifndef GEMMA_CHAT_TEMPLATE_H_
#define GEMMA_CHAT_TEMPLATE_H_

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
#include "gemma/tokenizer.h"
#include "gemma/tool_calls.h"

namespace gemma {

// The author of a message.
enum class Role {
  kSystem,     // the program: instructions to the model
  kUser,       // the user: the model answers this
  kModel,      // the model: an answer
  kTool,       // a tool that the model called: its result
  kDeveloper,  // as kSystem, under the other name that some templates know
};

// A model's request to run a tool.
struct ToolCall {
  std::string name = {};       // of the tool
  std::string arguments = {};  // a JSON object; empty: no arguments
  std::string id = {};         // may be empty; see Message::call_id

  // Returns whether all fields are equal.
  friend bool operator==(const ToolCall&, const ToolCall&) = default;
};

// One message of a chat.
struct Message {
  Role role = Role::kUser;  // its author
  std::string text = {};    // UTF-8
  // JSON in place of `text`, if not empty: a list of parts, such as
  // [{"type": "text", "text": "Hello"}], or any value that a tool returned.
  std::string content_json = {};
  // What the model thought before its calls, in a message of kModel. Templates
  // leave it out once the user has sent another message.
  std::string thoughts = {};
  std::vector<ToolCall> tool_calls = {};  // of kModel
  // The tool that was called, in a message of kTool. It may be empty if call_id
  // names the call, or if the results are in the order of the calls.
  std::string tool_name = {};
  std::string call_id = {};  // of kTool: ToolCall::id, or empty
};

// What a prompt tells the model besides the messages.
struct ChatOptions {
  // The tools that the model may call: a JSON list of declarations as in
  // transformers and OpenAI's API, [{"type": "function", "function": {"name",
  // "description", "parameters": a JSON schema}}]. Empty: none.
  std::string tools = {};
  // Whether the model thinks before it answers. No value: as the template does
  // by default; Gemma 4 then does not think.
  std::optional<bool> thinking = {};
};

// The tokens that a session reads for a chat, and where answers end in them.
struct ChatPrompt {
  std::vector<TokenId> tokens;  // all that is read
  // For each answer of the model in `tokens`: how many tokens come before its
  // end, that is, before the tokens that close it. The answer may be left out,
  // or begin with calls of tools: its end is then where it would begin.
  std::vector<size_t> answer_ends;
  // Whether `tokens` begin with the beginning of the chat.
  bool whole = true;
};

// The turns of a chat. They are Gemma's own, as its published templates write
// them, for example <start_of_turn>user\n...<end_of_turn>\n<start_of_turn>model
// \n in Gemma 1 to 3, or those of a template in Jinja, the language of chat
// templates in model files. The vocabulary determines which turns are Gemma's
// own. A template in Jinja has access to nothing but the chat, and a limit on
// its steps and memory. The text of a message, a call, a result or a
// declaration never becomes a control token, whatever a template does with it.
// Immutable and cheap to copy.
class GEMMA_EXPORT ChatTemplate {
 public:
  // Returns Gemma's own turns. Fails if the vocabulary lacks turn markers. With
  // the vocabulary of Gemma 4, they are those of 12B and larger models, which
  // put an empty thought before an answer without thinking.
  // Model::chat_template knows the model.
  static absl::StatusOr<ChatTemplate> Create(const Tokenizer& tokenizer);

  // Returns the turns of a template in Jinja, which gives the tokens that
  // transformers' apply_chat_template gives with add_generation_prompt. `name`
  // is for messages. The template sees the roles system, user, assistant, tool
  // and developer, and the variables tools and, if it is set, enable_thinking;
  // if it refuses or ignores the role system but knows developer, instructions
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

  // Returns BOS, all messages, and the opening of the model's next turn. After
  // a tool's result, Gemma 4's turns and others open nothing: the model goes
  // on in its turn.
  //
  // Gemma 1 to 3: the text of user and model is trimmed. Only the first message
  // may be a system message; it is put, untrimmed, before the first user
  // message, separated by a blank line. The other messages must alternate
  // between user and model, beginning and ending with the user; otherwise
  // InvalidArgument. The model does not think.
  //
  // ToolDialect::kJson: declarations of tools are instructions after those of
  // the first message, calls and results are texts of the model and the user,
  // and messages of the user after a result join it. This also holds for a
  // template in Jinja that ignores tools. Other models without control tokens
  // for tools refuse them.
  //
  // Gemma 4 and FunctionGemma: every text is trimmed. A first message of system
  // or developer, declarations of tools and the sign to think make one turn.
  // Results must follow a message with calls. InvalidArgument if JSON is not
  // valid, or a result belongs to no call. FunctionGemma does not think; if
  // there are tools but no instructions, it gets those that it was trained
  // with.
  //
  // A template in Jinja decides all of this itself, also whether there is a
  // BOS. InvalidArgument, with the template's own words, if it refuses the
  // messages, and if it would ignore a system message, tools, calls, results,
  // or the wish to think. It may leave out calls and results before the last
  // message of the user if it writes them while they are new.
  absl::StatusOr<std::vector<TokenId>> Render(
      absl::Span<const Message> messages,
      const ChatOptions& options = {}) const;

  // Returns what a session must read to answer the last message. It has read
  // the first `num_read` messages: 0, or up to and including an answer, without
  // the tokens that close it, and without thoughts or calls: if the session's
  // last answer has those, num_read is 0. If the template only adds text to a
  // chat, these are the tokens from the end of that answer on. If it changes
  // earlier turns, for example by leaving out what a model thought, or the
  // blanks around the answer, they are those of the whole chat; the session
  // then goes back to where its tokens differ.
  //
  // The tokens are those of Render, except that text after an answer is encoded
  // apart from it, which matters only for templates that close answers with
  // text.
  absl::StatusOr<ChatPrompt> Continue(absl::Span<const Message> messages,
                                      size_t num_read,
                                      const ChatOptions& options = {}) const;

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

  // Returns how the model reads declarations of tools and writes calls. The
  // vocabulary determines it, and for kJson the model; see
  // Model::chat_template.
  ToolDialect tool_dialect() const;

  // Returns whether these are Gemma's own turns.
  bool is_gemma() const;

  // Returns the place of a template in Jinja, for example "m.gguf:
  // tokenizer.chat_template", or "" for Gemma's own turns.
  const std::string& source() const;

  // Returns why a model uses these turns, for example "it makes other tokens of
  // an answer than Gemma's own turns", or "" if the caller chose them.
  const std::string& reason() const;

  // Internal; see src/text/turns/chat_template_impl.h.
  class Impl;
  // Internal.
  explicit ChatTemplate(std::shared_ptr<const Impl> impl);
  // Internal.
  const Impl& impl() const { return *impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

}  // namespace gemma

#endif  // GEMMA_CHAT_TEMPLATE_H_
