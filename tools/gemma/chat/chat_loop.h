// Reads what the user of a chat types and does it.

#ifndef GEMMA_TOOLS_GEMMA_CHAT_CHAT_LOOP_H_
#define GEMMA_TOOLS_GEMMA_CHAT_CHAT_LOOP_H_

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
  GenerateStats sum;                  // but for the reason to stop
  std::optional<GenerateStats> last;  // answer
};

// "3 answers; prompts: 120 tokens, 110.1 tok/s; answers: ...".
std::string TotalsLine(const ChatTotals& totals);

// What /tokens prints: the context, then a line for each turn.
std::string UseText(const ContextUse& use, const std::vector<Turn>& turns);

class ChatLoop {
 public:
  // `verbose`: tells speed and context after each answer. `quiet`: says nothing
  // unasked but failures.
  ChatLoop(Conversation conversation, std::unique_ptr<ChatReader> reader,
           const AnswerOptions& settings, bool verbose, bool quiet);

  // Goes on until the input ends or says so. On a terminal a failure is told
  // and the chat goes on; elsewhere it ends the chat, and is the result. What a
  // guard refuses ends no chat.
  absl::Status Run();

 private:
  absl::Status Handle(const ChatInput& input);
  absl::Status Do(const ChatLine& line);
  absl::Status Answer(const std::string& message);
  absl::Status Regenerate();
  absl::Status Finish(const absl::StatusOr<Reply>& reply);
  absl::Status System(const std::string& text);
  absl::Status Set(const std::string& argument);
  void ShowSettings();
  absl::Status Undo();
  absl::Status Read(const std::string& path);
  absl::Status Save(const std::string& path);
  absl::Status Load(const std::string& path);
  absl::Status ShowTokens();
  void ShowStats();
  void Clear();

  // OK, or OutOfRange if there is no room for so many tokens more.
  absl::Status CheckRoomFor(const std::string& what, size_t num_tokens) const;
  // Says what nobody asked for, unless quiet.
  void Remark(const std::string& text) const;

  Conversation conversation_;
  std::unique_ptr<ChatReader> reader_;
  const AnswerOptions first_settings_;
  AnswerOptions settings_;
  bool verbose_;
  bool quiet_;
  bool leaves_ = false;
  std::string read_text_;  // of files, for the next message
  ChatTotals totals_;
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CHAT_CHAT_LOOP_H_
