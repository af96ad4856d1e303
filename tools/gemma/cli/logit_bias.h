// Reads biases of logits from the command line: TOKEN=BIAS.

#ifndef GEMMA_TOOLS_GEMMA_CLI_LOGIT_BIAS_H_
#define GEMMA_TOOLS_GEMMA_CLI_LOGIT_BIAS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/gemma.h"

namespace gemma::tools {

struct NamedBias {
  std::string piece;  // if empty, `token` is set instead
  TokenId token = 0;
  float bias = 0.0f;
};

// Parses TOKEN=BIAS. TOKEN is an id, or a piece in double quotes, in which
// blanks may stand for the vocabulary's U+2581. BIAS is a number or -inf.
// Returns a usage error for any other text.
// `label`: what the error calls the option.
absl::StatusOr<NamedBias> ParseLogitBias(
    std::string_view text, std::string_view label = "--logit-bias");

// Parses the texts and finds their tokens in the model. Returns a usage error
// for the first text that cannot be parsed or whose token the model lacks.
absl::StatusOr<std::vector<LogitBias>> FindLogitBiases(
    const std::vector<std::string>& texts, const Model& model,
    std::string_view label = "--logit-bias");

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CLI_LOGIT_BIAS_H_
