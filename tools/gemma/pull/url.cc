#include "tools/gemma/pull/url.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "src/base/internal.h"

namespace gemma::tools {
namespace {

bool IsGraph(char c) {
  return absl::ascii_isgraph(static_cast<unsigned char>(c));
}

bool IsOfName(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
         absl::StrContains("-._~", c);
}

bool IsOfAddress(char c) {
  return absl::ascii_isxdigit(static_cast<unsigned char>(c)) ||
         absl::StrContains(":.", c);
}

bool IsPort(std::string_view text) {
  uint32_t port = 0;
  return text.empty() ||
         (absl::SimpleAtoi(text, &port) && port <= 65535 && text[0] != '+');
}

// Whether this is a host, perhaps with a port: "h", "h:80", "[::1]:80".
bool IsHost(std::string_view text) {
  std::string_view host = text.substr(0, text.find(':'));
  std::string_view rest = text.substr(host.size());
  bool is_right = std::all_of(host.begin(), host.end(), IsOfName);
  if (absl::ConsumePrefix(&text, "[")) {  // an address of IPv6
    host = text.substr(0, text.find(']'));
    is_right = host.size() < text.size() && absl::StrContains(host, ':') &&
               std::all_of(host.begin(), host.end(), IsOfAddress);
    rest = is_right ? text.substr(host.size() + 1) : "";
  }
  return is_right && !host.empty() &&
         (rest.empty() || (absl::ConsumePrefix(&rest, ":") && IsPort(rest)));
}

}  // namespace

absl::Status CheckUrl(std::string_view url) {
  std::string_view rest = url;
  const size_t colon = url.find("://");
  if (colon != std::string_view::npos) {
    const std::string scheme = absl::AsciiStrToLower(url.substr(0, colon));
    rest.remove_prefix(colon + 3);
    if ((scheme == "http" || scheme == "https") &&
        std::all_of(url.begin(), url.end(), IsGraph) &&
        IsHost(rest.substr(0, rest.find_first_of("/?#")))) {
      return absl::OkStatus();
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat(PublicPart(url),
                   ": wanted a URL with http:// or https:// and a host, and "
                   "without a user name"));
}

std::string PublicPart(std::string_view url) {
  url = url.substr(0, url.find_first_of("?#"));
  const size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return std::string(url);
  const size_t start = scheme + 3;
  const std::string_view host = url.substr(start, url.find('/', start) - start);
  const size_t at = host.rfind('@');
  if (at == std::string_view::npos) return std::string(url);
  return absl::StrCat(url.substr(0, start), url.substr(start + at + 1));
}

std::string EscapeUrlPart(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
        absl::StrContains("-._~", c)) {
      escaped += c;
    } else {
      absl::StrAppendFormat(&escaped, "%%%02X", static_cast<unsigned char>(c));
    }
  }
  return escaped;
}

}  // namespace gemma::tools
