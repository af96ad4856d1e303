// Outputs that would change what is read.

#ifndef GEMMA_TOOLS_GEMMA_CLI_OUTPUT_CHECK_H_
#define GEMMA_TOOLS_GEMMA_CLI_OUTPUT_CHECK_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace gemma::tools {

// OK, or an error that names both if `output` is one of `files` or a file of
// one of `models`, also by way of links. "" names nothing, and "-" in `files`
// standard input. `models` are paths or names of pulled models.
absl::Status CheckOutput(const std::string& output,
                         const std::vector<std::string>& models,
                         std::vector<std::string> files = {});

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CLI_OUTPUT_CHECK_H_
