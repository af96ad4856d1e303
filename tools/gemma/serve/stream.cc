#include "tools/gemma/serve/stream.h"

#include <openssl/ssl.h>

#include <boost/asio/post.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/system/system_error.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status_macros.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"

namespace gemma::tools {
namespace {

namespace asio = boost::asio;

class PlainStream : public Stream {
 public:
  explicit PlainStream(Socket socket) : socket_(std::move(socket)) {}

  void Begin(Done done) override {
    asio::post(socket_.get_executor(),
               [done = std::move(done)] { done({}, 0); });
  }
  void Read(asio::mutable_buffer into, Done done) override {
    socket_.async_read_some(into, std::move(done));
  }
  void Write(asio::const_buffer from, Done done) override {
    socket_.async_write_some(from, std::move(done));
  }
  void EndWriting(Done done) override {
    Error error;
    socket_.shutdown(Socket::shutdown_send, error);
    asio::post(socket_.get_executor(),
               [done = std::move(done), error] { done(error, 0); });
  }
  void Close() override {
    Error ignored;
    socket_.close(ignored);
  }

 private:
  Socket socket_;
};

class TlsStream : public Stream {
 public:
  TlsStream(Socket socket, TlsContext& context)
      : tls_(std::move(socket), context) {}

  void Begin(Done done) override {
    tls_.async_handshake(
        asio::ssl::stream_base::server,
        [done = std::move(done)](const Error& error) { done(error, 0); });
  }
  void Read(asio::mutable_buffer into, Done done) override {
    tls_.async_read_some(into, std::move(done));
  }
  void Write(asio::const_buffer from, Done done) override {
    tls_.async_write_some(from, std::move(done));
  }
  void EndWriting(Done done) override {
    tls_.async_shutdown(
        [done = std::move(done)](const Error& error) { done(error, 0); });
  }
  void Close() override {
    Error ignored;
    tls_.next_layer().close(ignored);
  }

 private:
  asio::ssl::stream<Socket> tls_;
};

// OpenSSL would ask for the password of a key on the terminal.
int NoPassword(char*, int, int, void*) { return -1; }

absl::Status TlsError(const std::string& path, std::string_view what,
                      const boost::system::error_code& error) {
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": ", what, " (", error.message(), ")"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<TlsContext>> MakeTlsContext(
    const std::string& certificate, const std::string& key) {
  // OpenSSL's messages on files do not name them.
  GEMMA_RETURN_IF_ERROR(ReadFile(certificate).status());
  GEMMA_RETURN_IF_ERROR(ReadFile(key).status());
  try {
    auto context = std::make_unique<TlsContext>(TlsContext::tls_server);
    SSL_CTX* const native = context->native_handle();
    SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
    SSL_CTX_set_default_passwd_cb(native, NoPassword);
    boost::system::error_code error;
    context->use_certificate_chain_file(certificate, error);
    if (error) {
      return WithCure(
          TlsError(certificate, "no certificate in PEM form", error),
          "--tls-cert names the server's certificate, and then those of the "
          "authorities that signed it");
    }
    context->use_private_key_file(key, TlsContext::pem, error);
    if (error) {
      return WithCure(
          TlsError(key, "no key in PEM form that belongs to the certificate",
                   error),
          "--tls-key names the key of the first certificate of --tls-cert, "
          "without a password");
    }
    return context;
  } catch (const boost::system::system_error& error) {
    return absl::InternalError(absl::StrCat("TLS: ", error.what()));
  }
}

std::unique_ptr<Stream> MakeStream(Stream::Socket socket, TlsContext* tls) {
  if (tls == nullptr) return std::make_unique<PlainStream>(std::move(socket));
  return std::make_unique<TlsStream>(std::move(socket), *tls);
}

}  // namespace gemma::tools
