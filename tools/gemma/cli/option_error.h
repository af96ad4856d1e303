// Usage errors that record which options they are about.

#ifndef GEMMA_TOOLS_GEMMA_CLI_OPTION_ERROR_H_
#define GEMMA_TOOLS_GEMMA_CLI_OPTION_ERROR_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace gemma::tools {

// Records these options, such as "--top-p", in an error. OK stays OK.
absl::Status WithOptions(absl::Status status,
                         const std::vector<std::string>& options);

// Returns a usage error that records these options.
absl::Status OptionError(const std::vector<std::string>& options,
                         std::string_view message);

// "--chat and --raw exclude each other".
absl::Status Exclude(const std::string& one, const std::string& other);

// "--title needs --prompt". `needed` may say more than the name of an option.
// If a variable set `option`, the variable does not count.
absl::Status Needs(const std::string& option, const std::string& needed);

// Whether this is an error of Needs.
bool IsNeeds(const absl::Status& status);

// Adds a cure to the error of reading `path`, the value of an option for a JSON
// file, if the value is JSON itself, as other programs want it.
absl::Status WithJsonCure(const absl::Status& status, const std::string& option,
                          std::string_view path);

// Returns the options that an error records, or an empty list.
std::vector<std::string> OptionsOf(const absl::Status& status);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CLI_OPTION_ERROR_H_
