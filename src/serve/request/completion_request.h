// Reads requests of /v1/completions.

#ifndef GEMMA_SRC_SERVE_REQUEST_COMPLETION_REQUEST_H_
#define GEMMA_SRC_SERVE_REQUEST_COMPLETION_REQUEST_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/model_config.h"
#include "gemma/tokenizer.h"
#include "src/serve/request/answer_fields.h"
#include "src/serve/request/fields.h"

namespace gemma::internal {

// A prompt: a text, or its tokens.
struct PromptInput {
  std::string text;
  std::vector<TokenId> tokens;
  bool has_tokens = false;
};

struct CompletionRequest {
  AnswerFields answer;
  std::vector<PromptInput> prompts;
  std::optional<std::string> suffix;  // fill the gap before this text
  bool echo = false;                  // the answer begins with the prompt
  bool bos = true;                    // texts begin with BOS
  // Whether names of control tokens in texts become those tokens.
  bool parse_control = false;
};

// Reads the fields of AnswerFields and
//   prompt     a text, tokens, or an array of them. Tokens are read as they
//              are; a text begins with BOS
//   suffix     the text after the gap to fill
//   max_tokens as in OpenAI's API, 16 without it; 0: only reads the prompt
//   echo, logprobs (the number of alternatives), best_of (as n)
//   add_special_tokens   false: a text begins without BOS
//   parse_control        true: names of control tokens in texts become tokens
absl::StatusOr<CompletionRequest> ReadCompletionRequest(
    const ModelConfig& config, size_t max_choices, Fields& fields);

// Reads a text, tokens, or an array of texts or of tokens.
absl::StatusOr<std::vector<PromptInput>> ReadPrompts(const Json& json,
                                                     const ModelConfig& config);

// Returns the tokens of a prompt: for a text, BOS and its tokens.
absl::StatusOr<std::vector<TokenId>> EncodePrompt(const Tokenizer& tokenizer,
                                                  PromptInput prompt);

// Fills in the tokens of the prompts that are texts. With a suffix, they are
// prompts of FillInMiddle, and its stop tokens end the answers.
absl::Status EncodePrompts(const Tokenizer& tokenizer,
                           CompletionRequest& request);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SERVE_REQUEST_COMPLETION_REQUEST_H_
