// Who may use a server: keys, names of the host, and web pages.

#ifndef GEMMA_TOOLS_GEMMA_SERVE_ACCESS_H_
#define GEMMA_TOOLS_GEMMA_SERVE_ACCESS_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "gemma/serve.h"
#include "tools/gemma/serve/http_limits.h"
#include "tools/gemma/serve/request_reader.h"

namespace gemma::tools {

// The keys of a file. Only their digests stay in memory.
class ApiKeys {
 public:
  // Reads one key a line. Blanks around a key, empty lines and lines that begin
  // with "#" do not count. Fails if there is no key.
  static absl::StatusOr<ApiKeys> Read(const std::string& path);

  bool empty() const { return digests_.empty(); }
  // Returns the number of the key, from 1, or 0 for a wrong key. Takes the
  // same time for every wrong key.
  size_t Find(std::string_view key) const;

 private:
  using Digest = std::array<uint8_t, 32>;
  // Returns nothing if OpenSSL fails.
  static std::optional<Digest> DigestOf(std::string_view key);

  std::vector<Digest> digests_;
};

struct AccessRules {
  bool has_page = true;  // the server sends the chat page, which needs no key
  ApiKeys keys;          // empty: requests need no key
  // A web page in a browser may reach a local server under a name of its own
  // (DNS rebinding), so names must be known; addresses are safe. Not checked
  // for Unix sockets, which no page reaches.
  bool checks_host = true;
  std::vector<std::string> hosts;  // further names, in lower case; "*": all
  // Web pages of other servers that may send requests and read the responses,
  // as "https://example.com"; "*": all.
  std::vector<std::string> origins;
};

// Whether the Host header, "localhost:8080", names this server.
bool IsOwnHost(const AccessRules& rules, std::string_view host);

// Checks the head of a request. Sets `*client` to the number of its key, if it
// has one. Makes a target that names the server ("http://HOST/PATH") one that
// does not.
HttpProblem CheckAccess(const AccessRules& rules, ReceivedRequest* request,
                        std::string* client);

// Returns the headers with which a browser lets the page of the request read
// the response; none without Origin, or if rules.origins lacks it.
HttpHeaders CorsHeaders(const AccessRules& rules,
                        const ReceivedRequest& request);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_SERVE_ACCESS_H_
