#include "tools/gemma/serve/access.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/serve/page.h"

namespace gemma::tools {
namespace {

// Requests that need no key: whether the server lives and is ready is no
// secret, and what asks for it has seldom a key. The page asks its reader for
// one.
bool IsPublic(const AccessRules& rules, const ReceivedRequest& request) {
  const std::string_view target = request.target;
  const std::string_view path = target.substr(0, target.find('?'));
  return path == "/health" || path == "/v1/health" || path == "/ready" ||
         (rules.has_page && FindPageFile(request.method, target) != nullptr);
}

// "localhost" of "localhost:8080", "::1" of "[::1]:8080"; "" if it is neither.
std::string HostName(std::string_view host) {
  std::string_view name = host;
  std::string_view port;
  if (absl::ConsumePrefix(&name, "[")) {
    const size_t end = name.find(']');
    if (end == std::string_view::npos) return "";
    port = name.substr(end + 1);
    name = name.substr(0, end);
  } else if (const size_t colon = name.find(':');
             colon != std::string_view::npos) {
    port = name.substr(colon);
    name = name.substr(0, colon);
  }
  if (!port.empty() &&
      (port[0] != ':' ||
       !std::all_of(port.begin() + 1, port.end(), absl::ascii_isdigit))) {
    return "";
  }
  absl::ConsumeSuffix(&name, ".");
  return absl::AsciiStrToLower(name);
}

bool IsAddress(const std::string& name) {
  in6_addr address;
  return inet_pton(AF_INET, name.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, name.c_str(), &address) == 1;
}

bool Has(const std::vector<std::string>& values, std::string_view value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

// Whether a page that this server sent made the request.
bool IsOwnPage(const ReceivedRequest& request, std::string_view origin) {
  const std::string_view host = request.Find("host");
  return !host.empty() &&
         (absl::EqualsIgnoreCase(origin, absl::StrCat("http://", host)) ||
          absl::EqualsIgnoreCase(origin, absl::StrCat("https://", host)));
}

bool IsNamedOrigin(const AccessRules& rules, std::string_view origin) {
  return Has(rules.origins, "*") || Has(rules.origins, origin);
}

// Returns the key of a request, or "".
std::string_view KeyOf(const ReceivedRequest& request) {
  std::string_view value = request.Find("authorization");
  if (value.size() > 7 &&
      absl::EqualsIgnoreCase(value.substr(0, 7), "Bearer ")) {
    return absl::StripAsciiWhitespace(value.substr(7));
  }
  return request.Find("x-api-key");
}

HttpProblem CheckHost(const AccessRules& rules,
                      const ReceivedRequest& request) {
  const size_t count = request.Count("host");
  if (count > 1 || (count == 0 && request.is_1_1)) {
    return {400, "a request has one Host header"};
  }
  const std::string_view host = request.Find("host");
  if (!rules.checks_host || count == 0 || IsOwnHost(rules, host)) return {};
  return {403,
          absl::StrCat("the server does not answer to the host ", Quoted(host),
                       ": --allow-host NAME adds a name"),
          "host_not_allowed"};
}

// Makes the target "http://HOST/PATH" the target "/PATH".
HttpProblem CheckTarget(const AccessRules& rules, ReceivedRequest* request) {
  std::string& target = request->target;
  if (absl::StartsWith(target, "/")) return {};
  if (target == "*" && request->method == "OPTIONS") return {};
  std::string_view rest = target;
  if (absl::StartsWithIgnoreCase(rest, "http://")) {
    rest.remove_prefix(7);
  } else if (absl::StartsWithIgnoreCase(rest, "https://")) {
    rest.remove_prefix(8);
  } else {
    return {400, "the target is not a path"};
  }
  const size_t slash = std::min(rest.find('/'), rest.size());
  const std::string_view host = rest.substr(0, slash);
  if (rules.checks_host && !IsOwnHost(rules, host)) {
    return {403, "the target names another host", "host_not_allowed"};
  }
  const std::string path(rest.substr(slash));
  target = path.empty() ? "/" : path;
  return {};
}

}  // namespace

std::optional<ApiKeys::Digest> ApiKeys::DigestOf(std::string_view key) {
  Digest digest = {};
  if (EVP_Digest(key.data(), key.size(), digest.data(), nullptr, EVP_sha256(),
                 nullptr) != 1) {
    return std::nullopt;
  }
  return digest;
}

absl::StatusOr<ApiKeys> ApiKeys::Read(const std::string& path) {
  GEMMA_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  ApiKeys keys;
  for (std::string_view line : absl::StrSplit(text, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line[0] == '#') continue;
    for (const char c : line) {
      if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) {
        return WithCure(
            absl::InvalidArgumentError(absl::StrCat(
                path, ": a key has a byte that no header can carry")),
            "a key is printable ASCII without blanks, one a line");
      }
    }
    const std::optional<Digest> digest = DigestOf(line);
    if (!digest.has_value()) {
      return absl::InternalError("OpenSSL cannot compute SHA-256");
    }
    keys.digests_.push_back(*digest);
  }
  if (keys.empty()) {
    return WithCure(
        absl::InvalidArgumentError(absl::StrCat(path, ": no key in it")),
        absl::StrCat("openssl rand -hex 32 > ", path, " makes one"));
  }
  return keys;
}

size_t ApiKeys::Find(std::string_view key) const {
  const std::optional<Digest> digest = DigestOf(key);
  if (!digest.has_value()) return 0;
  size_t found = 0;
  for (size_t i = 0; i < digests_.size(); ++i) {
    const bool equal =
        CRYPTO_memcmp(digest->data(), digests_[i].data(), digest->size()) == 0;
    found += equal && found == 0 ? i + 1 : 0;
  }
  return found;
}

bool IsOwnHost(const AccessRules& rules, std::string_view host) {
  if (Has(rules.hosts, "*")) return true;
  const std::string name = HostName(host);
  return name == "localhost" || absl::EndsWith(name, ".localhost") ||
         IsAddress(name) || (!name.empty() && Has(rules.hosts, name));
}

HttpProblem CheckAccess(const AccessRules& rules, ReceivedRequest* request,
                        std::string* client) {
  if (HttpProblem problem = CheckHost(rules, *request)) return problem;
  if (HttpProblem problem = CheckTarget(rules, request)) return problem;
  const std::string_view origin = request->Find("origin");
  if (!origin.empty() && !IsOwnPage(*request, origin) &&
      !IsNamedOrigin(rules, origin)) {
    return {403,
            absl::StrCat("the server does not answer pages of ", Quoted(origin),
                         ": --cors ORIGIN adds an origin"),
            "origin_not_allowed"};
  }
  // A browser sends no key when it asks what it may send.
  if (rules.keys.empty() || IsPublic(rules, *request) ||
      request->method == "OPTIONS") {
    return {};
  }
  const std::string_view key = KeyOf(*request);
  const size_t number = rules.keys.Find(key);
  if (number == 0) {
    return {401,
            key.empty() ? "the request has no key: send 'Authorization: Bearer "
                          "KEY'"
                        : "the server does not know this key",
            "invalid_api_key"};
  }
  *client = absl::StrCat("key ", number);
  return {};
}

HttpHeaders CorsHeaders(const AccessRules& rules,
                        const ReceivedRequest& request) {
  const std::string_view origin = request.Find("origin");
  if (origin.empty() || !IsNamedOrigin(rules, origin)) return {};
  HttpHeaders headers = {
      {"access-control-allow-origin", std::string(origin)},
      {"access-control-expose-headers", "x-request-id, retry-after"},
      {"vary", "origin"}};
  if (request.method != "OPTIONS") return headers;
  headers.emplace_back("access-control-allow-methods", "GET, HEAD, POST");
  headers.emplace_back("access-control-max-age", "600");
  // Clients name their system and version in headers of their own.
  const std::string_view wanted =
      request.Find("access-control-request-headers");
  const bool is_list =
      std::all_of(wanted.begin(), wanted.end(), [](unsigned char c) {
        return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == ',' ||
               c == ' ';
      });
  if (is_list && !wanted.empty()) {
    headers.emplace_back("access-control-allow-headers", std::string(wanted));
  }
  return headers;
}

}  // namespace gemma::tools
