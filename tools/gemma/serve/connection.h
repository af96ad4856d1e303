// A connection of HTTP/1.1: one request after the other.

#ifndef GEMMA_TOOLS_GEMMA_SERVE_CONNECTION_H_
#define GEMMA_TOOLS_GEMMA_SERVE_CONNECTION_H_

#include <array>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "gemma/serve.h"
#include "src/base/internal.h"
#include "src/base/stopwatch.h"
#include "tools/gemma/serve/http_shared.h"
#include "tools/gemma/serve/listen_socket.h"
#include "tools/gemma/serve/page.h"
#include "tools/gemma/serve/request_reader.h"
#include "tools/gemma/serve/stream.h"

namespace gemma::tools {

// Only the I/O thread uses a connection. Pending operations own it; it is gone
// when they have ended.
//
// A read is always pending, so that a client that leaves is noticed at once:
// its request then ends within one pass of the model. The end of what a client
// sends counts as leaving, because a client that has closed the connection
// looks the same. Such a client still gets a response that is complete.
//
// At most one write is pending. Meanwhile the exchange collects events, up to
// its own limit, so that the engine never waits for a reader.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(HttpShared& shared, std::unique_ptr<Stream> stream, Peer peer);
  ~Connection();

  // Begins to read requests.
  void Start();
  // Refuses whatever comes, because there are too many connections.
  void Refuse(const HttpProblem& problem);
  // Ends after the request that runs, or at once if no request runs.
  void Drain();
  // Ends at once. `why`: for the log.
  void Close(std::string_view why) noexcept;

 private:
  enum class State {
    kBegins,    // the handshake of TLS
    kReceives,  // a request, or waits for the next
    kAnswers,   // the server has the request
    kLingers,   // the response is out; what still comes is thrown away
    kClosed,
  };
  // Calls Pump or OnExchange on the I/O thread, from any thread.
  class Wake;

  // Calls a function, and closes the connection if it throws: memory is short,
  // and nothing else would go on with the connection.
  template <class Function>
  void Step(const Function& function) noexcept {
    try {
      function();
    } catch (...) {
      Close("the server has no memory for it");
    }
  }

  void Read();
  void OnRead(size_t size);
  void OnEnd(std::string_view why);
  // Reads requests from input_ until one is complete or wrong.
  void Receive();
  // Checks the head. Returns whether the body may come.
  bool AcceptHead();
  bool ReserveBody();
  void ReleaseBody();
  void Dispatch();
  void OnExchange(absl::StatusOr<Exchange> exchange);
  void AnswerOptions();
  void AnswerPage(const PageFile& file);

  // Responses.
  void Pump();
  void TakeOutput();
  void Reply(const HttpProblem& problem);
  void BeginResponse(HttpHead head);
  void AppendBody(std::string_view bytes);
  void EndResponse();
  void Send(std::string_view bytes);
  void Flush();
  void OnWritten(size_t size);
  void Finish();
  void Linger();
  void Log(std::string_view why);

  // Calls OnTime after so many seconds, unless called again before; 0: never.
  void SetTimer(size_t seconds);
  void OnTime();

  HttpShared& shared_;
  const HttpLimits& limits_;
  std::unique_ptr<Stream> stream_;
  const Peer peer_;
  State state_ = State::kBegins;

  std::array<char, 16384> buffer_;
  std::string input_;    // read, but not yet part of a request
  bool at_end_ = false;  // the client sends nothing more
  size_t thrown_away_ = 0;
  std::optional<RequestReader> reader_;
  size_t reserved_ = 0;  // part of shared_.body_bytes
  std::string client_;   // whom the request counts against
  Stopwatch stopwatch_;  // since the request's head

  std::shared_ptr<Wake> wake_;
  std::optional<Exchange> exchange_;
  HttpHead head_;
  HttpHeaders cors_;
  bool has_head_ = false;  // head_ is set
  bool is_1_1_ = true;
  bool only_head_ = false;  // HEAD
  bool stays_open_ = false;
  bool ended_ = false;  // the response is complete
  std::string body_;    // of a response that is not streamed
  size_t num_body_bytes_ = 0;
  LoggedRequest logged_;

  std::string output_;  // waits for the write that is pending
  std::string writing_;
  size_t num_written_ = 0;
  bool writes_ = false;

  boost::asio::steady_timer timer_;
  uint64_t timer_number_ = 0;
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_SERVE_CONNECTION_H_
