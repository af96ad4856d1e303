// Runs a chat: reads messages and commands, and carries them out.

#ifndef GEMMA_TOOLS_GEMMA_CHAT_CHAT_LOOP_H_
#define GEMMA_TOOLS_GEMMA_CHAT_CHAT_LOOP_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/gemma/answer/answer_options.h"
#include "tools/gemma/chat/chat_command.h"
#include "tools/gemma/chat/chat_reader.h"
#include "tools/gemma/chat/conversation.h"

namespace gemma::tools {

// Sums over the answers of a chat.
struct ChatTotals {
  size_t answers = 0;
  GenerateStats sum;                  // stop_reason is not set
  std::optional<GenerateStats> last;  // of the last answer
};

// "3 answers; prompts: 120 tokens, 110.1 tok/s; answers: ...".
std::string TotalsLine(const ChatTotals& totals);

// The text of /tokens: a line for the context, then one for each turn.
std::string UseText(const ContextUse& use, const std::vector<Turn>& turns);

// "error", "drop-oldest-turns".
std::string_view NameOf(ContextPolicy policy);
std::optional<ContextPolicy> ParseContextPolicy(std::string_view name);

// Creates an empty session of the chat's model with this number of tokens.
using NewChatSession = std::function<absl::StatusOr<Session>(size_t context)>;

class ChatLoop {
 public:
  // `verbose`: prints speed and context use after each answer. `quiet`: prints
  // only failures and what a command asks for.
  ChatLoop(Conversation conversation, std::unique_ptr<ChatReader> reader,
           NewChatSession new_session, const AnswerOptions& settings,
           bool verbose, bool quiet);

  // Runs until the input or /exit ends the chat. On a terminal, a failure is
  // printed and the chat goes on; elsewhere, the chat ends and returns it. A
  // guard's refusal does not end the chat.
  absl::Status Run();

 private:
  absl::Status Handle(const ChatInput& input);
  absl::Status Do(const ChatLine& line);
  absl::Status Answer(const std::string& message);
  absl::Status GiveResult(const std::string& argument);
  absl::Status Think(const std::string& argument);
  absl::Status Regenerate();
  absl::Status Finish(const absl::StatusOr<Reply>& reply);
  absl::Status System(const std::string& text);
  // In chat_loop_settings.cc.
  absl::Status Set(const std::string& argument);
  absl::Status SetContext(std::string_view value);
  absl::Status SetPolicy(std::string_view value);
  absl::Status SetVerbose(std::string_view value);
  void ShowSettings();
  absl::Status Undo();
  absl::Status Read(const std::string& path);
  absl::Status Save(const std::string& path);
  absl::Status Load(const std::string& path);
  absl::Status ShowTokens();
  void ShowStats();
  void Clear();

  // OutOfRange if the context has no room for `num_tokens` more. The message
  // begins with `what`.
  absl::Status CheckRoomFor(const std::string& what, size_t num_tokens) const;
  // Prints a text that no command asks for, unless quiet.
  void Remark(const std::string& text) const;

  Conversation conversation_;
  std::unique_ptr<ChatReader> reader_;
  const NewChatSession new_session_;
  const AnswerOptions first_settings_;
  AnswerOptions settings_;
  bool verbose_;
  bool quiet_;
  bool leaves_ = false;
  std::string read_text_;  // from /read, for the next message
  ChatTotals totals_;
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CHAT_CHAT_LOOP_H_
