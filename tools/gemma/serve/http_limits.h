// What a client may take of a server before it is refused.

#ifndef GEMMA_TOOLS_GEMMA_SERVE_HTTP_LIMITS_H_
#define GEMMA_TOOLS_GEMMA_SERVE_HTTP_LIMITS_H_

#include <cstddef>
#include <string>
#include <utility>

namespace gemma::tools {

struct HttpLimits {
  // What one request may have.
  size_t head_bytes = size_t{32} << 10;  // its first line and headers
  size_t headers = 100;
  size_t body_bytes = size_t{8} << 20;
  size_t chunks = 65536;  // of a body in chunks
  // Bytes that a client may send while its last request is not answered yet.
  size_t ahead_bytes = size_t{64} << 10;
  // Bodies of all connections that have not reached the protocol core.
  size_t all_body_bytes() const { return kBodies * body_bytes; }
  static constexpr size_t kBodies = 32;

  size_t connections = 512;
  size_t connections_per_address = 256;

  // Seconds.
  size_t head_seconds = 10;   // in which the head must be there, or a handshake
  size_t body_seconds = 60;   // in which the body must follow
  size_t idle_seconds = 75;   // without a next request
  size_t write_seconds = 30;  // in which a client reads nothing of its response
  size_t ping_seconds = 15;   // without an event of a stream
};

// Why a request is refused.
struct HttpProblem {
  int status = 0;  // 0: no problem
  std::string message;
  std::string code;          // for programs, or ""
  size_t retry_seconds = 0;  // 0: no advice on when to try again

  explicit operator bool() const { return status != 0; }
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_SERVE_HTTP_LIMITS_H_
