// What all connections of a server share. Only the I/O thread uses it, except
// for what says otherwise.

#ifndef GEMMA_TOOLS_GEMMA_SERVE_HTTP_SHARED_H_
#define GEMMA_TOOLS_GEMMA_SERVE_HTTP_SHARED_H_

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <unordered_set>

#include "gemma/serve.h"
#include "tools/gemma/serve/access.h"
#include "tools/gemma/serve/http_limits.h"
#include "tools/gemma/serve/request_log.h"

namespace gemma::tools {

class Connection;

// How long to wait before trying again what found no memory.
constexpr auto kMemoryWait = std::chrono::milliseconds(10);

// How the connections of a server behave.
struct HttpOptions {
  HttpLimits limits;
  AccessRules access;
  LogLevel log = LogLevel::kRequests;
  bool logs_prompts = false;
};

struct HttpShared {
  HttpShared(Server& core, HttpOptions options)
      : server(core), options(std::move(options)), log(this->options.log) {}

  Server& server;  // any thread
  const HttpOptions options;
  RequestLog log;  // any thread

  // Open connections, and how many each client has.
  std::unordered_set<Connection*> connections;
  std::map<std::string, size_t> per_client;
  size_t body_bytes = 0;  // of requests that the server has not got yet
  bool draining = false;  // connections end after their responses
  std::function<void()> on_closed;  // called after a connection has closed

  // Runs everything above. Any thread may post to it.
  boost::asio::io_context io{1};
  // Reads prompts, because that takes long for long ones, and health checks
  // must not wait for them. Any thread may post to it.
  boost::asio::thread_pool readers{2};
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_SERVE_HTTP_SHARED_H_
