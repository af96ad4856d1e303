// Token ids from the command line and from files.

#ifndef GEMMA_TOOLS_GEMMA_MEASURE_TOKEN_FILE_H_
#define GEMMA_TOOLS_GEMMA_MEASURE_TOKEN_FILE_H_

#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/model_config.h"

namespace gemma::tools {

// Parses ids, at least one, separated by any of `separators`. `what` names
// their origin in errors.
absl::StatusOr<std::vector<TokenId>> ParseTokenIds(std::string_view text,
                                                   std::string_view separators,
                                                   std::string_view what);

// Reads a file of ids separated by blanks or line ends.
absl::StatusOr<std::vector<TokenId>> ReadTokenFile(std::string_view path);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_MEASURE_TOKEN_FILE_H_
