// HTTP requests, over libcurl.

#ifndef GEMMA_TOOLS_GEMMA_PULL_HTTP_H_
#define GEMMA_TOOLS_GEMMA_PULL_HTTP_H_

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gemma::tools {

// OK if `url` is one that we fetch: http or https, without a user name and
// without characters that no URL has.
absl::Status CheckUrl(const std::string& url);

// `url` without what may be a secret: a user name with a password, and what
// follows "?" or "#".
std::string PublicPart(std::string_view url);

// Percent-encodes what may not stand for itself between two slashes.
std::string EscapeUrlPart(std::string_view text);

struct HttpResponse {
  long status = 0;
  std::map<std::string, std::string> headers;  // names in lower case

  // The header's value, or "".
  std::string Header(const std::string& name) const;
};

// Receives what a server sends. An error ends the request, which returns it.
class HttpBody {
 public:
  virtual ~HttpBody() = default;
  // Called once before any bytes, also if there are none.
  virtual absl::Status Begin(const HttpResponse& response) = 0;
  virtual absl::Status Append(std::string_view bytes) = 0;
};

// A secret, and the only place that gets it: scheme, host and port of `url`.
struct HttpToken {
  std::string secret;  // "": none
  std::string url;
};

// Keeps its connections, so that several files need one.
class HttpClient {
 public:
  explicit HttpClient(HttpToken token);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  bool has_token() const { return !token_.secret.empty(); }

  // Gets `url`, following redirects, though never from https to http. Only the
  // body of an answer with a status of 2xx reaches `body`; other statuses are
  // no error here. An interrupt ends the request with InterruptedError.
  // `headers` are lines such as "Range: bytes=5-".
  absl::StatusOr<HttpResponse> Get(std::string url,
                                   const std::vector<std::string>& headers,
                                   HttpBody& body);

 private:
  struct Transfer;

  absl::StatusOr<HttpResponse> GetOnce(const std::string& url,
                                       const std::vector<std::string>& headers,
                                       HttpBody& body, std::string* redirect);
  absl::Status Perform(Transfer& transfer);

  HttpToken token_;
  void* multi_;  // a CURLM, which <curl/curl.h> has no type for
};

// Of libcurl.
std::string HttpVersion();

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_PULL_HTTP_H_
