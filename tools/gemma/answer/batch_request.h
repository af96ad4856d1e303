// Reads a line of a batch: a prompt and the options for its answer.

#ifndef GEMMA_TOOLS_GEMMA_ANSWER_BATCH_REQUEST_H_
#define GEMMA_TOOLS_GEMMA_ANSWER_BATCH_REQUEST_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/gemma.h"
#include "tools/gemma/answer/answer_options.h"
#include "tools/gemma/answer/prompt.h"

namespace gemma::tools {

struct BatchRequest {
  std::string id;  // JSON; empty: no id
  std::string prompt;
  std::string system;
  bool has_system = false;        // the line states it
  std::vector<Message> messages;  // if not empty, used instead of `prompt`
  ChatOptions turns;              // thinking and tools
  AnswerOptions options;
};

// An error if the text of the file `name` has another form than a JSON value on
// each line, with the command that converts it: a JSON array, an object on
// several lines, or lines of which none is JSON.
absl::Status CheckIsLines(std::string_view text, std::string_view name);

// Reads a line. Untrusted input: a JSON string, which is the prompt, or an
// object with
//   id         optional: a string or a number
//   prompt     a string
//   system     optional: a string; by default, that of `defaults`
//   messages   instead of both: [{"role", "content"}], see batch_messages.h; if
//              the first is not a system message, that of `defaults` comes
//              before it
//   think      true or false: whether the model thinks
//   tools      declarations of tools, as in the file of --tools
// and the options of `gemma run` that concern the answer, named like the flags
// with "_" for "-". Options that may be repeated also accept an array. Missing
// options come from `defaults`. Sets request->id even if a later field is bad.
absl::Status ParseBatchRequest(std::string_view line,
                               const BatchRequest& defaults,
                               BatchRequest* request);

// The prompt, or the text of the last message.
std::string PromptText(const BatchRequest& request);

// The tokens of the request. Messages are a chat, unless `options`
// turn chats off.
absl::StatusOr<std::vector<TokenId>> PromptTokens(const Model& model,
                                                  const BatchRequest& request,
                                                  const PromptOptions& options);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_ANSWER_BATCH_REQUEST_H_
