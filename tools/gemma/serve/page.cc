#include "tools/gemma/serve/page.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace gemma::tools {
namespace {

constexpr std::string_view kFolder = "/page/";

// The page runs its own scripts only, sends requests to its own server only,
// and makes no markup of texts (Trusted Types).
constexpr std::string_view kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types 'none'";

std::string_view TypeOf(std::string_view name) {
  if (absl::EndsWith(name, ".html")) return "text/html; charset=utf-8";
  if (absl::EndsWith(name, ".js")) return "text/javascript; charset=utf-8";
  if (absl::EndsWith(name, ".css")) return "text/css; charset=utf-8";
  return "image/svg+xml";
}

// Whether a list of a header, such as "gzip;q=0.5, br", has a value. One with
// the weight 0 is refused, which no browser does.
bool Lists(std::string_view header, std::string_view value) {
  for (std::string_view part : absl::StrSplit(header, ',')) {
    part = absl::StripAsciiWhitespace(part.substr(0, part.find(';')));
    if (absl::EqualsIgnoreCase(part, value)) return true;
  }
  return false;
}

}  // namespace

const PageFile* FindPageFile(std::string_view method, std::string_view target) {
  if (method != "GET" && method != "HEAD") return nullptr;
  std::string_view name = target.substr(0, target.find('?'));
  if (name == "/") {
    name = "index.html";
  } else if (!absl::ConsumePrefix(&name, kFolder)) {
    return nullptr;
  }
  for (const PageFile& file : PageFiles()) {
    if (file.name == name) return &file;
  }
  return nullptr;
}

PageResponse RespondWithFile(const PageFile& file,
                             const ReceivedRequest& request) {
  PageResponse response;
  const bool compresses = Lists(request.Find("accept-encoding"), "gzip");
  const std::string tag =
      absl::StrCat("\"", file.digest, "-", compresses ? "gzip" : "plain", "\"");
  response.head.status = 200;
  response.head.headers = {
      {"content-type", std::string(TypeOf(file.name))},
      {"content-security-policy", std::string(kPolicy)},
      {"referrer-policy", "no-referrer"},
      {"cross-origin-opener-policy", "same-origin"},
      {"cross-origin-resource-policy", "same-origin"},
      // A browser asks each time whether its copy is still this file.
      {"cache-control", "no-cache"},
      {"etag", tag},
      {"vary", "accept-encoding"}};
  if (Lists(request.Find("if-none-match"), tag)) {
    response.head.status = 304;
    return response;
  }
  response.body = std::string(compresses ? file.gzip : file.text);
  if (compresses) {
    response.head.headers.emplace_back("content-encoding", "gzip");
  }
  return response;
}

}  // namespace gemma::tools
