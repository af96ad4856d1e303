// Values in the same word as their option, behind "=".

#ifndef GEMMA_TOOLS_GEMMA_WORDS_JOINED_VALUES_H_
#define GEMMA_TOOLS_GEMMA_WORDS_JOINED_VALUES_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace gemma::tools {

// Returns the words after a command's name, with "-n=5" as "-n", "5": CLI11
// would take "=5" as the value. A usage error for a flag with a value, such as
// "--raw=5", which CLI11 would accept. Words after "--" and the values of
// options stay as they are.
absl::StatusOr<std::vector<std::string>> SeparateValues(
    const CLI::App& command, const std::vector<std::string>& words);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_WORDS_JOINED_VALUES_H_
