#include "tools/gemma/cli/option_error.h"

#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "tools/gemma/io/errors.h"

namespace gemma::tools {
namespace {

constexpr std::string_view kOptions = "gemma.tools/options";
constexpr std::string_view kNeeds = "gemma.tools/needs";

}  // namespace

absl::Status WithOptions(absl::Status status,
                         const std::vector<std::string>& options) {
  // From a view, as in WithReason.
  const std::string lines = absl::StrJoin(options, "\n");
  status.SetPayload(kOptions, absl::Cord(std::string_view(lines)));
  return status;
}

absl::Status OptionError(const std::vector<std::string>& options,
                         std::string_view message) {
  return WithOptions(UsageError(message), options);
}

absl::Status Exclude(const std::string& one, const std::string& other) {
  return OptionError({one, other},
                     absl::StrCat(one, " and ", other, " exclude each other"));
}

absl::Status Needs(const std::string& option, const std::string& needed) {
  absl::Status status =
      OptionError({option}, absl::StrCat(option, " needs ", needed));
  status.SetPayload(kNeeds, absl::Cord());
  return status;
}

bool IsNeeds(const absl::Status& status) {
  return status.GetPayload(kNeeds).has_value();
}

absl::Status WithJsonCure(const absl::Status& status, const std::string& option,
                          std::string_view path) {
  const std::string_view text = absl::StripLeadingAsciiWhitespace(path);
  if (!absl::StartsWith(text, "{") && !absl::StartsWith(text, "[")) {
    return status;
  }
  return WithCure(status, absl::StrCat(option, " reads a file: in bash, ",
                                       option, " <(echo '...') gives it one"));
}

std::vector<std::string> OptionsOf(const absl::Status& status) {
  const std::optional<absl::Cord> payload = status.GetPayload(kOptions);
  if (!payload.has_value()) return {};
  return absl::StrSplit(std::string(*payload), '\n', absl::SkipEmpty());
}

}  // namespace gemma::tools
