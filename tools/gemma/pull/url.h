// Addresses, as text.

#ifndef GEMMA_TOOLS_GEMMA_PULL_URL_H_
#define GEMMA_TOOLS_GEMMA_PULL_URL_H_

#include <string>
#include <string_view>

namespace gemma::tools {

// `url` without the parts that may be secret: user name and password, and
// everything from "?" or "#" on.
std::string PublicPart(std::string_view url);

// Percent-encodes all characters except letters, digits and "-._~", so that the
// text can stand between two slashes.
std::string EscapeUrlPart(std::string_view text);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_PULL_URL_H_
