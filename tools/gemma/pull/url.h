// Addresses, as text.

#ifndef GEMMA_TOOLS_GEMMA_PULL_URL_H_
#define GEMMA_TOOLS_GEMMA_PULL_URL_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace gemma::tools {

// OK if `url` may be fetched: http or https, no user name, and only characters
// that a URL may contain.
absl::Status CheckUrl(std::string_view url);

// `url` without the parts that may be secret: user name and password, and
// everything from "?" or "#" on.
std::string PublicPart(std::string_view url);

// Percent-encodes all characters except letters, digits and "-._~", so that the
// text can stand between two slashes.
std::string EscapeUrlPart(std::string_view text);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_PULL_URL_H_
