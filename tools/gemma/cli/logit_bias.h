// Biases of logits from the command line: TOKEN=BIAS.

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
  std::string piece;  // empty: `token` is meant
  TokenId token = 0;
  float bias = 0.0f;
};

// TOKEN is an id, or a piece in double quotes in which blanks may stand for the
// vocabulary's U+2581; BIAS is a number or -inf. Else a usage error.
absl::StatusOr<NamedBias> ParseLogitBias(std::string_view text);

// Of texts that can be parsed. A usage error names the first token that the
// model has not.
absl::StatusOr<std::vector<LogitBias>> FindLogitBiases(
    const std::vector<std::string>& texts, const Model& model);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CLI_LOGIT_BIAS_H_
