// Reads a line of a chat: a message, or a command such as /undo.

#ifndef GEMMA_TOOLS_GEMMA_CHAT_CHAT_COMMAND_H_
#define GEMMA_TOOLS_GEMMA_CHAT_CHAT_COMMAND_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace gemma::tools {

enum class ChatCommand {
  kMessage,  // the argument is a message for the model
  kHelp,
  kSystem,
  kSet,
  kThink,
  kResult,
  kRegen,
  kUndo,
  kCopy,
  kRead,
  kSave,
  kLoad,
  kTokens,
  kStats,
  kModel,
  kClear,
  kExit,
};

struct ChatLine {
  ChatCommand command = ChatCommand::kMessage;
  std::string argument;  // may be empty
};

struct ChatCommandInfo {
  ChatCommand command;
  std::string_view name;      // "/save"
  std::string_view argument;  // "FILE", "[TEXT]" if optional, or ""
  std::string_view help;
};

// The first word of a text, and the rest without the blanks around it. Blanks
// are also tabs and line ends.
std::pair<std::string_view, std::string_view> SplitWord(std::string_view text);

// All commands in the order of /help.
absl::Span<const ChatCommandInfo> ChatCommands();

// "/help", "/system", ..., without other names such as "/bye".
std::vector<std::string> ChatCommandNames();

// `text` must have no blanks at its ends. InvalidArgument if a command does not
// exist, lacks an argument or has an unwanted one. For a command of another
// program, the error says what does the same here. The argument of /set has
// gemma's name of a setting (OwnSetting).
absl::StatusOr<ChatLine> ParseChatLine(std::string_view text);

// The text of /help, in lines of at most 80 characters.
std::string ChatHelp();

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CHAT_CHAT_COMMAND_H_
