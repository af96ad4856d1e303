// Turns prompts into tokens.

#ifndef GEMMA_TOOLS_GEMMA_ANSWER_PROMPT_H_
#define GEMMA_TOOLS_GEMMA_ANSWER_PROMPT_H_

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/gemma.h"
#include "tools/gemma/answer/answer_options.h"
#include "tools/gemma/cli/model_options.h"

namespace gemma::tools {

// How prompts become tokens.
struct PromptOptions {
  bool chat = false;              // as chat turns
  bool no_turns = false;          // there are no chat turns at all
  bool raw = false;               // the caller wants no chat turns
  bool parse_control = false;     // names of control tokens become those tokens
  ChatOptions turns;              // thinking and tools, in a chat
  OptionLabel label = FlagLabel;  // what messages call these two
};

// Adds --parse-control.
void AddParseControl(CLI::App& app, bool* parse_control);

// Whether prompts are chat turns. `chat` and `raw` are the options of these
// names.
bool IsChat(const Model& model, const ModelOptions& options, bool chat,
            bool raw);

// A usage error if --chat-template contradicts the other options.
absl::Status CheckChatTemplate(const ModelOptions& options, bool chat, bool raw,
                               bool system);

// If the turns of the model are not Gemma's own, says so on standard error.
// `in_chat`: names no option, because the chat has begun.
void NoteTurns(const Model& model, const ChatTemplate& turns,
               bool in_chat = false);

// A usage error if the options read control tokens in chat turns, whose text
// never becomes one.
absl::Status CheckParseControl(const PromptOptions& options);

// If a prompt outside of chat turns names a control token that stays text, says
// so on standard error. Returns whether it does.
bool NoteControlTokens(const Tokenizer& tokenizer, std::string_view prompt);

// The prompt as a chat turn, after `system` if that is not empty. Without a
// chat: the prompt as a text to complete, after BOS; `system` and, in a chat,
// parse_control are then usage errors. So are thinking and tools without a
// chat.
absl::StatusOr<std::vector<TokenId>> PromptTokens(const Model& model,
                                                  std::string_view prompt,
                                                  std::string_view system,
                                                  const PromptOptions& options);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_ANSWER_PROMPT_H_
