// Runs a chat: reads messages and commands, and carries them out.

#ifndef GEMMA_TOOLS_GEMMA_CHAT_CHAT_LOOP_H_
#define GEMMA_TOOLS_GEMMA_CHAT_CHAT_LOOP_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/gemma/answer/answer_options.h"
#include "tools/gemma/chat/chat_command.h"
#include "tools/gemma/chat/chat_model.h"
#include "tools/gemma/chat/chat_reader.h"
#include "tools/gemma/chat/chat_text.h"
#include "tools/gemma/chat/conversation.h"

namespace gemma::tools {

// "error", "drop-oldest-turns".
std::string_view NameOf(ContextPolicy policy);
std::optional<ContextPolicy> ParseContextPolicy(std::string_view name);

class ChatLoop {
 public:
  // `verbose`: prints speed and context use after each answer. `quiet`: prints
  // only failures and what a command asks for.
  ChatLoop(Conversation conversation, std::unique_ptr<ChatReader> reader,
           std::unique_ptr<ChatModel> model, LoadChatModel load_model,
           const AnswerOptions& settings, bool verbose, bool quiet);

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
  absl::Status SetMarkdown(std::string_view value);
  // Sets one setting, or resets it if there is no value.
  absl::Status SetOne(std::string_view name, std::string_view value);
  // Names and values, as /set shows them.
  std::vector<std::pair<std::string, std::string>> AllSettings() const;
  // In chat_loop_commands.cc.
  absl::Status Undo();
  absl::Status ChangeModel(const std::string& name);
  absl::Status ChangeTo(const std::string& name);
  absl::Status Copy();
  absl::Status Read(const std::string& path);
  absl::Status Save(const std::string& argument);
  absl::Status Load(const std::string& path);
  absl::Status ShowTokens();
  void ShowStats();
  void Clear();

  // On a terminal, marks an answer that ended too early.
  void MarkCut(const GenerateStats& stats) const;
  // Prints a text that no command asks for, unless quiet.
  void Remark(const std::string& text) const;

  Conversation conversation_;
  std::unique_ptr<ChatReader> reader_;
  std::unique_ptr<ChatModel> model_;
  const LoadChatModel load_model_;
  AnswerOptions first_settings_;
  const size_t first_context_;
  const ContextPolicy first_policy_;
  AnswerOptions settings_;
  bool verbose_;
  bool quiet_;
  bool leaves_ = false;
  std::string read_text_;  // from /read, for the next message
  std::string saved_;      // the file that /save wrote last
  ChatTotals totals_;
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CHAT_CHAT_LOOP_H_
