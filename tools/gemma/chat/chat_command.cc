#include "tools/gemma/chat/chat_command.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "src/base/internal.h"
#include "tools/gemma/chat/chat_settings.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/nearest.h"

namespace gemma::tools {
namespace {

constexpr ChatCommandInfo kCommands[] = {
    {ChatCommand::kHelp, "/help", "", "This list"},
    {ChatCommand::kSystem, "/system", "[TEXT]",
     "Show or set the system message"},
    {ChatCommand::kSet, "/set", "[NAME [VALUE]]",
     "Show the settings, set one, or reset one"},
    {ChatCommand::kRegen, "/regen", "",
     "Answer the last message again; also /retry"},
    {ChatCommand::kUndo, "/undo", "", "Remove the last message and its answer"},
    {ChatCommand::kCopy, "/copy", "",
     "Copy the last answer to the terminal's clipboard"},
    {ChatCommand::kThink, "/think", "[on|off]",
     "Show whether the model thinks first, or change it"},
    {ChatCommand::kResult, "/result", "NAME TEXT",
     "Give the result of a tool: a text or a JSON object"},
    {ChatCommand::kRead, "/read", "FILE",
     "Put a text file in front of the next message"},
    {ChatCommand::kSave, "/save", "FILE [--force]",
     "Write the conversation to a file"},
    {ChatCommand::kLoad, "/load", "FILE", "Go on with a saved conversation"},
    {ChatCommand::kTokens, "/tokens", "", "Show how many tokens each turn has"},
    {ChatCommand::kStats, "/stats", "", "Show the speed of the answers"},
    {ChatCommand::kModel, "/model", "[NAME]",
     "Show the model, or go on with another one"},
    {ChatCommand::kClear, "/clear", "",
     "Forget everything except the system message"},
    {ChatCommand::kExit, "/exit", "", "End the chat, as Ctrl-D and /bye do"},
};

struct OtherName {
  std::string_view name;
  std::string_view command;
};

constexpr OtherName kOtherNames[] = {
    {"/quit", "/exit"}, {"/bye", "/exit"},    {"/retry", "/regen"},
    {"/?", "/help"},    {"/reset", "/clear"}, {"/new", "/clear"},
};

// A line of Ollama, and ours that does the same.
struct OtherLine {
  std::string_view line;
  std::string_view own;
};

constexpr OtherLine kOtherLines[] = {
    {"/show info", "/model"},           {"/show system", "/system"},
    {"/show parameters", "/set"},       {"/set parameters", "/set"},
    {"/set quiet", "/set verbose off"}, {"/set think", "/think on"},
    {"/set nothink", "/think off"},
};

// What does here what a command of another program does.
struct CommandHint {
  std::string_view name;
  std::string_view hint;
};

constexpr CommandHint kCommandHintsOfChat[] = {
    {"/show",
     "/model shows the model, /system the system message, /set the "
     "settings"},
    {"/info", "/model shows the model, gemma inspect describes it"},
    {"/list", "gemma list shows the pulled models, /model NAME changes to one"},
    {"/models",
     "gemma list shows the pulled models, /model NAME changes to one"},
    {"/history", "/tokens shows the turns, Up and Ctrl-R find earlier lines"},
    {"/timings", "/stats shows the speed, /set verbose on after each answer"},
    {"/verbose", "/set verbose on shows the speed after each answer"},
    {"/temperature", "/set temperature X"},
    {"/file", "/read FILE puts a text file in front of the next message"},
    {"/edit", "/undo removes the last message, Up shows it again"},
    {"/multiline",
     "\"\"\" before and after several lines makes them a message"},
};

constexpr std::string_view kHelpFooter =
    "To send several lines at once, paste them, or write \"\"\" around them.\n"
    "To begin a message with a slash, write //.\n"
    "Ctrl-C stops an answer; the part already shown stays.\n"
    "At the prompt, it clears the line; twice at an empty one, it ends the "
    "chat.\n"
    "Up and Ctrl-R find earlier lines; Tab completes commands and file "
    "names.\n";

// The line as one of ours, if it is one of Ollama's that means the same.
std::string InOwnWords(std::string_view line) {
  const auto [command, argument] = SplitWord(line);
  const auto [word, rest] = SplitWord(argument);
  if (rest.empty()) {
    const std::string both = absl::StrCat(command, " ", word);
    for (const OtherLine& other : kOtherLines) {
      if (other.line == both) return std::string(other.own);
    }
  }
  if (command != "/set") return std::string(line);
  if (word == "system") return absl::StrCat("/system ", rest);
  const auto [name, value] =
      word == "parameter" ? SplitWord(rest) : std::pair(word, rest);
  return absl::StrCat("/set ", OwnSetting(name), " ", value);
}

bool TakesArgument(const ChatCommandInfo& info) {
  return !info.argument.empty();
}

bool NeedsArgument(const ChatCommandInfo& info) {
  return TakesArgument(info) && info.argument[0] != '[';
}

absl::StatusOr<ChatCommandInfo> FindCommand(std::string_view name) {
  for (const OtherName& other : kOtherNames) {
    if (other.name == name) name = other.command;
  }
  for (const ChatCommandInfo& info : kCommands) {
    if (info.name == name) return info;
  }
  for (const CommandHint& hint : kCommandHintsOfChat) {
    if (hint.name != name) continue;
    return WithCure(
        absl::InvalidArgumentError(absl::StrCat("no command '", name, "'")),
        hint.hint);
  }
  std::vector<std::string> names = ChatCommandNames();
  for (const OtherName& other : kOtherNames) names.emplace_back(other.name);
  return absl::InvalidArgumentError(
      absl::StrCat("no command '", name, "'", DidYouMean(name, names),
                   " (/help lists them, // begins a message)"));
}

}  // namespace

std::pair<std::string_view, std::string_view> SplitWord(std::string_view text) {
  const size_t end = std::min(text.find_first_of(" \t\r\n"), text.size());
  return {text.substr(0, end), absl::StripAsciiWhitespace(text.substr(end))};
}

absl::Span<const ChatCommandInfo> ChatCommands() { return kCommands; }

std::vector<std::string> ChatCommandNames() {
  std::vector<std::string> names;
  for (const ChatCommandInfo& info : kCommands) names.emplace_back(info.name);
  return names;
}

absl::StatusOr<ChatLine> ParseChatLine(std::string_view text) {
  if (!absl::StartsWith(text, "/")) {
    return ChatLine{ChatCommand::kMessage, std::string(text)};
  }
  if (absl::StartsWith(text, "//")) {
    return ChatLine{ChatCommand::kMessage, std::string(text.substr(1))};
  }
  const std::string own = InOwnWords(text);
  const auto [name, argument] = SplitWord(own);
  const absl::StatusOr<ChatCommandInfo> info = FindCommand(name);
  if (!info.ok()) return info.status();
  if (!argument.empty() && !TakesArgument(*info)) {
    return absl::InvalidArgumentError(absl::StrCat(
        info->name, ": found '", argument, "', wanted nothing after it"));
  }
  if (argument.empty() && NeedsArgument(*info)) {
    return absl::InvalidArgumentError(
        absl::StrCat(info->name, ": has no argument, wanted ", info->argument));
  }
  return ChatLine{info->command, std::string(argument)};
}

std::string ChatHelp() {
  std::string help;
  for (const ChatCommandInfo& info : kCommands) {
    absl::StrAppendFormat(&help, "  %-22s  %s\n",
                          absl::StrCat(info.name, " ", info.argument),
                          info.help);
  }
  return absl::StrCat(help, kHelpFooter);
}

}  // namespace gemma::tools
