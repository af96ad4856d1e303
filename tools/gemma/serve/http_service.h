// The server's sockets and the thread that serves them.

#ifndef GEMMA_TOOLS_GEMMA_SERVE_HTTP_SERVICE_H_
#define GEMMA_TOOLS_GEMMA_SERVE_HTTP_SERVICE_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "gemma/serve.h"
#include "tools/gemma/serve/http_shared.h"
#include "tools/gemma/serve/listen_socket.h"
#include "tools/gemma/serve/stream.h"

namespace gemma::tools {

// Serves HTTP with one thread, besides those that read prompts.
class HttpService {
 public:
  // Begins to serve at once. `server` must outlive the service; `tls` may be
  // null. InternalError if the thread cannot be started.
  static absl::StatusOr<std::unique_ptr<HttpService>> Start(
      Server& server, HttpOptions options, std::vector<ListenSocket> sockets,
      std::unique_ptr<TlsContext> tls);
  // Ends all connections at once.
  ~HttpService();
  HttpService(const HttpService&) = delete;
  HttpService& operator=(const HttpService&) = delete;

  // New connections use this certificate instead of the one of Start.
  void SetTls(std::unique_ptr<TlsContext> tls);

  // Accepts no connection any more, lets those that exist finish their
  // responses, for so many seconds at most, and ends. Returns the number of
  // connections that did not finish.
  size_t Drain(size_t seconds);

 private:
  class Impl;
  explicit HttpService(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Raises the limit of open files for so many connections, as far as the system
// allows. Returns the number of connections that it allows.
size_t AllowConnections(size_t wanted);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_SERVE_HTTP_SERVICE_H_
