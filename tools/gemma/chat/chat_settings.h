// What /set shows and changes: the options of `gemma chat` that an answer has,
// under the names they have on the command line.

#ifndef GEMMA_TOOLS_GEMMA_CHAT_CHAT_SETTINGS_H_
#define GEMMA_TOOLS_GEMMA_CHAT_CHAT_SETTINGS_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "tools/gemma/answer/answer_options.h"

namespace gemma::tools {

// What --help and /set say of max-tokens that nobody set.
inline constexpr std::string_view kChatMaxTokens = "what fits in --context";

// "temperature", ...
std::vector<std::string> SettingNames();

// Names and values, in that order. `stop` is a JSON array of texts. Values are
// what ChangeSetting takes; that of `max-tokens` is empty if there is none.
std::vector<std::pair<std::string, std::string>> Settings(
    const AnswerOptions& options);

// Sets one. `stop` is a text, or in JSON a text or an array of texts, so that a
// line end is "\n". InvalidArgument names the setting, what was found and what
// was wanted, and changes nothing.
absl::Status ChangeSetting(std::string_view name, std::string_view value,
                           AnswerOptions* options);

// Gives one setting the value that it has in `from`.
absl::Status CopySetting(std::string_view name, const AnswerOptions& from,
                         AnswerOptions* options);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CHAT_CHAT_SETTINGS_H_
