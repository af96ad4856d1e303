// Converts prompts of `gemma run` to tokens.

#ifndef GEMMA_TOOLS_GEMMA_ANSWER_PROMPT_H_
#define GEMMA_TOOLS_GEMMA_ANSWER_PROMPT_H_

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "gemma/gemma.h"

namespace gemma::tools {

// Default of --max-tokens for completions. A base model often does not end its
// text.
inline constexpr size_t kMaxCompletionTokens = 256;

// If `chat`, the prompt as a chat turn, after `system` if that is not empty.
// Else the prompt as a text to complete; `system` is then a usage error.
absl::StatusOr<std::vector<TokenId>> PromptTokens(const Model& model,
                                                  std::string_view prompt,
                                                  std::string_view system,
                                                  bool chat);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_ANSWER_PROMPT_H_
