// A connection's bytes: over TCP, a Unix socket or TLS.

#ifndef GEMMA_TOOLS_GEMMA_SERVE_STREAM_H_
#define GEMMA_TOOLS_GEMMA_SERVE_STREAM_H_

#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/system/error_code.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace gemma::tools {

// One thread uses a stream. Handlers are never called within these functions.
class Stream {
 public:
  using Error = boost::system::error_code;
  using Done = std::function<void(const Error& error, size_t size)>;
  using Socket = boost::asio::generic::stream_protocol::socket;

  virtual ~Stream() = default;
  // Calls `done` when the other side may send a request.
  virtual void Begin(Done done) = 0;
  // Reads or writes some bytes. One read and one write may be pending at once.
  virtual void Read(boost::asio::mutable_buffer into, Done done) = 0;
  virtual void Write(boost::asio::const_buffer from, Done done) = 0;
  // Tells the other side that nothing more comes.
  virtual void EndWriting(Done done) = 0;
  // Ends everything; pending handlers get an error.
  virtual void Close() = 0;
};

using TlsContext = boost::asio::ssl::context;

// Returns a context with a certificate chain and its key, in PEM files.
absl::StatusOr<std::unique_ptr<TlsContext>> MakeTlsContext(
    const std::string& certificate, const std::string& key);

// `tls` may be null. The stream keeps what it needs of it.
std::unique_ptr<Stream> MakeStream(Stream::Socket socket, TlsContext* tls);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_SERVE_STREAM_H_
