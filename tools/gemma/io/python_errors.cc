#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tools/gemma/io/child_process.h"
#include "tools/gemma/io/errors.h"

namespace gemma::tools {

std::string PythonCause(std::string_view errors) {
  constexpr std::string_view kError = "ERROR: ";
  std::string_view cause = "no message";
  bool has_error = false;
  const std::vector<std::string_view> lines =
      absl::StrSplit(errors, '\n', absl::SkipWhitespace());
  for (std::string_view line : lines) {
    const bool is_error = absl::StartsWith(line, kError);
    if (is_error || !has_error) cause = line;
    has_error |= is_error;
  }
  if (has_error) cause.remove_prefix(kError.size());
  return std::string(cause);
}

absl::Status PythonError(const absl::Status& status, std::string_view package) {
  if (!absl::IsNotFound(status)) return status;
  return WithCure(status, absl::StrCat("install python3 and ", package));
}

}  // namespace gemma::tools
