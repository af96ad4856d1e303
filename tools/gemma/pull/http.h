// HTTP requests, with libcurl.

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

// OK if `url` may be fetched: http or https, no user name, and only characters
// that a URL may contain.
absl::Status CheckUrl(const std::string& url);

struct HttpResponse {
  long status = 0;
  std::map<std::string, std::string> headers;  // names in lower case

  // The header's value, or "".
  std::string Header(const std::string& name) const;
};

// Receives the body of a response. If a function returns an error, the request
// ends and returns this error.
class HttpBody {
 public:
  virtual ~HttpBody() = default;
  // Called once, before any bytes and also for an empty body.
  virtual absl::Status Begin(const HttpResponse& response) = 0;
  virtual absl::Status Append(std::string_view bytes) = 0;
};

// A secret. It is sent only to the scheme, host and port of `url`.
struct HttpToken {
  std::string secret;  // "": no token
  std::string url;
};

// Keeps its connections open, so that several files can share one.
class HttpClient {
 public:
  explicit HttpClient(HttpToken token);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  bool has_token() const { return !token_.secret.empty(); }

  // Gets `url` and follows redirects, but never from https to http. `body`
  // receives only the body of a response with status 2xx. A different status is
  // returned, not an error. An interrupt ends the request with
  // InterruptedError. `headers` are lines such as "Range: bytes=5-".
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
  void* multi_;  // a CURLM, for which <curl/curl.h> has no type
};

// The version of libcurl.
std::string HttpVersion();

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_PULL_HTTP_H_
