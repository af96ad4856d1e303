// Takes a request of HTTP/1.1 apart. Knows no socket.

#ifndef GEMMA_TOOLS_GEMMA_SERVE_REQUEST_READER_H_
#define GEMMA_TOOLS_GEMMA_SERVE_REQUEST_READER_H_

#include <boost/beast/http/basic_parser.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "gemma/serve.h"
#include "tools/gemma/serve/http_limits.h"

namespace gemma::tools {

// A request whose head is there, and perhaps its body.
struct ReceivedRequest {
  std::string method;
  std::string target;
  HttpHeaders headers;  // names in lower case
  std::string body;
  bool is_1_1 = false;  // else HTTP/1.0

  // Returns the value of the first header with this name, or "".
  std::string_view Find(std::string_view name) const;
  // Returns the number of headers with this name.
  size_t Count(std::string_view name) const;
};

// Reads one request, piece by piece. The parser is Beast's; the limits and the
// rules on bodies are ours.
class RequestReader : private boost::beast::http::basic_parser<true> {
 public:
  // `limits` must outlive the reader.
  explicit RequestReader(const HttpLimits& limits);

  enum class Progress {
    kNeedsMore,
    kHead,      // the head is complete; returned once
    kComplete,  // the whole request is there
    kWrong,     // see problem()
  };
  // Reads the beginning of `bytes` and removes what it read: at most the head,
  // at the first call that completes it, and the body.
  Progress Read(std::string* bytes);

  const ReceivedRequest& request() const { return request_; }
  ReceivedRequest& request() { return request_; }
  const HttpProblem& problem() const { return problem_; }

  // After kHead:
  // Whether a body follows or has begun.
  bool has_body() const;
  // Whether the client waits for "100 Continue" before it sends the body.
  bool expects_continue() const;
  // Whether the client wants to send another request afterwards.
  bool wants_more() const { return keep_alive(); }

 private:
  using ErrorCode = boost::beast::error_code;
  using View = boost::beast::string_view;

  void on_request_impl(boost::beast::http::verb verb, View method, View target,
                       int version, ErrorCode& error) override;
  void on_response_impl(int, View, int, ErrorCode&) override {}
  void on_field_impl(boost::beast::http::field field, View name, View value,
                     ErrorCode& error) override;
  void on_header_impl(ErrorCode& error) override;
  void on_body_init_impl(const boost::optional<uint64_t>& size,
                         ErrorCode& error) override;
  size_t on_body_impl(View body, ErrorCode& error) override;
  void on_chunk_header_impl(uint64_t size, View extensions,
                            ErrorCode& error) override;
  size_t on_chunk_body_impl(uint64_t left, View body,
                            ErrorCode& error) override;
  void on_finish_impl(ErrorCode&) override {}

  // Reads the beginning of `*bytes`, and makes them the rest.
  Progress ReadFrom(std::string_view* bytes);
  // Refuses the request. Sets `*error`, so that parsing stops.
  void Refuse(int status, std::string_view message, ErrorCode* error);
  // Checks the headers that say how long the body is.
  void CheckFraming(ErrorCode* error);

  const HttpLimits& limits_;
  ReceivedRequest request_;
  HttpProblem problem_;
  size_t num_chunks_ = 0;
  bool has_head_ = false;  // headers that follow are trailers
  bool told_head_ = false;
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_SERVE_REQUEST_READER_H_
