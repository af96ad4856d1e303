// Finds outputs that would overwrite an input.

#ifndef GEMMA_TOOLS_GEMMA_CLI_OUTPUT_CHECK_H_
#define GEMMA_TOOLS_GEMMA_CLI_OUTPUT_CHECK_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace gemma::tools {

// Returns an error that names both files if `output` is one of `files` or a
// file of one of `models`, also through links; else OK. `models` are paths or
// names of pulled models. Ignores empty names. "-" in `files` is standard
// input; as `output`, it is always OK.
absl::Status CheckOutput(const std::string& output,
                         const std::vector<std::string>& models,
                         std::vector<std::string> files = {});

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CLI_OUTPUT_CHECK_H_
