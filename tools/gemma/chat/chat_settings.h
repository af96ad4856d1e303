// The settings of /set: the options of `gemma chat` that concern the answer,
// under their names on the command line.

#ifndef GEMMA_TOOLS_GEMMA_CHAT_CHAT_SETTINGS_H_
#define GEMMA_TOOLS_GEMMA_CHAT_CHAT_SETTINGS_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "tools/gemma/answer/answer_options.h"

namespace gemma::tools {

// The default of max-tokens, as --help and as /set print it.
inline constexpr std::string_view kChatMaxTokens = "the rest of --context";
inline constexpr std::string_view kSetMaxTokens = "the rest of the context";

// Settings of the chat itself, which saved chats do not keep.
inline constexpr std::string_view kContextSetting = "context";
inline constexpr std::string_view kPolicySetting = "context-policy";
inline constexpr std::string_view kVerboseSetting = "verbose";
inline constexpr std::string_view kMarkdownSetting = "markdown";

// "temperature", ...: the settings of answers.
std::vector<std::string> SettingNames();
// These and the settings of the chat.
std::vector<std::string> AllSettingNames();

// The setting that a name of another program means, such as "context" for
// "num_ctx", or the name as it is.
std::string OwnSetting(std::string_view name);

// Names and values, in the order of SettingNames and in the form that
// ChangeSetting reads. `stop` is a JSON array of strings. `max-tokens` is empty
// if it is not set.
std::vector<std::pair<std::string, std::string>> Settings(
    const AnswerOptions& options);

// Changes a setting. `stop` is a plain text, in which Unescaped replaces
// escapes, a JSON string or a JSON array of strings. InvalidArgument names the
// setting, the value found and the value wanted; nothing changes then.
absl::Status ChangeSetting(std::string_view name, std::string_view value,
                           AnswerOptions* options);

// Copies one setting from `from` to `options`.
absl::Status CopySetting(std::string_view name, const AnswerOptions& from,
                         AnswerOptions* options);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CHAT_CHAT_SETTINGS_H_
