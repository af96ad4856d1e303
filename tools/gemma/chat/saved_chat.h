// A conversation in a file: JSON with
//   format     "gemma chat"
//   version    1
//   system     the system message, empty if there is none
//   messages   [{role: "user" | "model", text}], in turn, the model's last
//   settings   {name: value} of /set; numbers and texts, of `stop` an array
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

// The file is not trusted. Settings that it does not have are those of
// `settings`. Errors name `path`, the key, what was found and what was wanted.
absl::StatusOr<SavedChat> ParseSavedChat(std::string_view json,
                                         const std::string& path,
                                         const AnswerOptions& settings);

// Replaces a file only if that is a saved chat, or empty. The file appears when
// it is complete.
absl::Status SaveChat(const std::string& path, const SavedChat& chat);

absl::StatusOr<SavedChat> LoadChat(const std::string& path,
                                   const AnswerOptions& settings);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CHAT_SAVED_CHAT_H_
