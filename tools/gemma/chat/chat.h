// Runs a chat with a model.

#ifndef GEMMA_TOOLS_GEMMA_CHAT_CHAT_H_
#define GEMMA_TOOLS_GEMMA_CHAT_CHAT_H_

#include <string>

#include "absl/status/status.h"
#include "tools/gemma/answer/answer_options.h"
#include "tools/gemma/answer/guard.h"
#include "tools/gemma/answer/steering.h"
#include "tools/gemma/answer/turn_options.h"
#include "tools/gemma/cli/model_options.h"

namespace gemma::tools {

// --context-policy: forget the oldest turns on a terminal, else fail.
inline constexpr char kAutoPolicy[] = "auto";

struct ChatRunOptions {
  ModelOptions model;
  AnswerOptions answer;
  SteeringOptions steering;
  GuardOptions guard;
  TurnOptions turns;
  std::string system;
  std::string context_policy = kAutoPolicy;
  bool chat = false;  // even with a base model
  bool verbose = false;
};

// Reads messages from standard input and answers them, as `gemma chat` does.
absl::Status Chat(ChatRunOptions options);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CHAT_CHAT_H_
