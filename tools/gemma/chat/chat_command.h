// What a line of a chat asks for: a message, or a command such as /undo.

#ifndef GEMMA_TOOLS_GEMMA_CHAT_CHAT_COMMAND_H_
#define GEMMA_TOOLS_GEMMA_CHAT_CHAT_COMMAND_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace gemma::tools {

enum class ChatCommand {
  kMessage,  // the argument is for the model
  kHelp,
  kSystem,
  kSet,
  kRegen,
  kUndo,
  kRead,
  kSave,
  kLoad,
  kTokens,
  kStats,
  kClear,
  kExit,
};

struct ChatLine {
  ChatCommand command = ChatCommand::kMessage;
  std::string argument;  // empty if there is none
};

struct ChatCommandInfo {
  ChatCommand command;
  std::string_view name;      // "/save"
  std::string_view argument;  // "FILE", "[TEXT]" if it may be left out, or ""
  std::string_view help;
};

// All commands in the order of /help.
absl::Span<const ChatCommandInfo> ChatCommands();

// "/help", "/system", ...
std::vector<std::string> ChatCommandNames();

// `text` has no blanks around it. InvalidArgument for a command that does not
// exist, lacks an argument or has one too many.
absl::StatusOr<ChatLine> ParseChatLine(std::string_view text);

// What /help prints: lines of up to 80 characters.
std::string ChatHelp();

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CHAT_CHAT_COMMAND_H_
