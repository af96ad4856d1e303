// A conversation in a file: JSON with
//   format     "gemma chat"
//   version    1
//   system     the system message, or empty
//   messages   [{role: "user" | "model", text}], alternating; ends with a
//   model.
//              Before its answer, a model may call tools: {role: "model", text:
//              "", tool_calls: [{name, arguments}]}, and then have {role:
//              "tool", name, text} for each result. Thoughts are not saved
//   settings   {name: value} as in /set: numbers and strings; `stop`: an array
// Other keys are ignored.

#ifndef GEMMA_TOOLS_GEMMA_CHAT_SAVED_CHAT_H_
#define GEMMA_TOOLS_GEMMA_CHAT_SAVED_CHAT_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/gemma/answer/answer_options.h"
#include "tools/gemma/chat/conversation.h"

namespace gemma::tools {

struct SavedChat {
  std::string system;
  std::vector<Turn> turns;
  AnswerOptions settings;
};

std::string ToJson(const SavedChat& chat);

// Untrusted input. Settings that are missing in `json` come from `settings`.
// Errors name `path`, the key, the value found and the value wanted.
absl::StatusOr<SavedChat> ParseSavedChat(std::string_view json,
                                         const std::string& path,
                                         const AnswerOptions& settings);

// Replaces an existing file only if it is a saved chat or empty. The file
// appears when it is complete.
absl::Status SaveChat(const std::string& path, const SavedChat& chat);

absl::StatusOr<SavedChat> LoadChat(const std::string& path,
                                   const AnswerOptions& settings);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CHAT_SAVED_CHAT_H_
