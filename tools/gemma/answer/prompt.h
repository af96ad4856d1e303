// Prompts of `gemma run` as tokens.

#ifndef GEMMA_TOOLS_GEMMA_ANSWER_PROMPT_H_
#define GEMMA_TOOLS_GEMMA_ANSWER_PROMPT_H_

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "gemma/gemma.h"

namespace gemma::tools {

// Tokens of an answer to a text that is completed, if nobody says; a base model
// often goes on for ever.
inline constexpr size_t kMaxCompletionTokens = 256;

// The prompt as a chat turn, after `system` if that is not empty, or as a text
// that is completed, which has no system message.
absl::StatusOr<std::vector<TokenId>> PromptTokens(const Model& model,
                                                  std::string_view prompt,
                                                  std::string_view system,
                                                  bool chat);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_ANSWER_PROMPT_H_
