#include "tools/gemma/serve/http_service.h"

#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <list>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/serve/connection.h"

namespace gemma::tools {
namespace {

namespace asio = boost::asio;

using Protocol = asio::generic::stream_protocol;
using Acceptor = asio::basic_socket_acceptor<Protocol>;

// Connections that are refused, beyond the limit. Further ones are closed
// without a word.
constexpr size_t kMaxRefused = 64;
// The system's buffer of what a client has not read yet.
constexpr int kSendBufferBytes = 128 << 10;
// Descriptors of the process that are no connections.
constexpr size_t kOtherDescriptors = 128;

}  // namespace

class HttpService::Impl {
 public:
  Impl(Server& server, HttpOptions options, std::unique_ptr<TlsContext> tls)
      : tls_(std::move(tls)),
        shared_(server, std::move(options)),
        work_(shared_.io.get_executor()) {
    shared_.on_closed = [this] { CheckDrained(); };
  }

  ~Impl() {
    Post([this] { End(); });
    if (thread_.joinable()) thread_.join();
    shared_.readers.join();
    // What the readers still posted holds requests, whose engines may wake the
    // I/O thread for as long as they exist.
    shared_.io.restart();
    while (!RunSome([this] { shared_.io.poll(); })) continue;
    shared_.on_closed = nullptr;
  }

  absl::Status Start(std::vector<ListenSocket> sockets) {
    sockets_ = std::move(sockets);
    for (ListenSocket& socket : sockets_) {
      sockaddr_storage address = {};
      socklen_t size = sizeof(address);
      getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&address), &size);
      boost::system::error_code error;
      Listener& listener = listeners_.emplace_back(shared_.io);
      listener.acceptor.assign(Protocol(address.ss_family, 0),
                               socket.ReleaseFd(), error);
      if (error) return absl::InternalError(error.message());
    }
    try {
      thread_ = std::thread([this] { Run(); });
    } catch (const std::system_error& error) {
      return absl::ResourceExhaustedError(error.what());
    }
    return absl::OkStatus();
  }

  void SetTls(std::shared_ptr<TlsContext> tls) {
    Post([this, tls = std::move(tls)] { tls_ = tls; });
  }

  size_t Drain(size_t seconds) {
    Post([this] { BeginDrain(); });
    std::unique_lock lock(mutex_);
    drained_.wait_for(lock, std::chrono::seconds(seconds),
                      [this] { return is_drained_; });
    lock.unlock();
    Post([this] { End(); });
    if (thread_.joinable()) thread_.join();
    return num_unfinished_;
  }

 private:
  struct Listener {
    explicit Listener(asio::io_context& io)
        : acceptor(io), socket(io), pause(io) {}
    Acceptor acceptor;
    Protocol::socket socket;  // the next connection's
    Protocol::endpoint peer;
    asio::steady_timer pause;
    bool is_armed = false;  // a connection, or the end of the pause, is awaited
  };

  // Calls a function on the I/O thread, even if memory is short now.
  template <class Function>
  void Post(const Function& function) {
    while (true) {
      try {
        asio::post(shared_.io, function);
        return;
      } catch (const std::bad_alloc&) {
        std::this_thread::sleep_for(kMemoryWait);
      }
    }
  }

  // Returns whether the function did not throw.
  template <class Function>
  bool RunSome(const Function& function) noexcept {
    try {
      function();
      return true;
    } catch (const std::exception& error) {
      shared_.log.Event("server", error.what());
    } catch (...) {
      shared_.log.Event("server", "an unknown error");
    }
    return false;
  }

  void Run() {
    const auto run = [this] {
      for (Listener& listener : listeners_) {
        if (!listener.is_armed) Accept(listener);
      }
      shared_.io.run();
    };
    // Connections catch their own errors. This one is of a listener that had no
    // memory to accept the next connection, so it tries again.
    while (!RunSome(run)) std::this_thread::sleep_for(kMemoryWait);
  }

  void Accept(Listener& listener) {
    if (!listener.acceptor.is_open()) return;
    listener.acceptor.async_accept(
        listener.socket, listener.peer,
        [this, &listener](const auto& error) { OnAccept(listener, error); });
    listener.is_armed = true;
  }

  void OnAccept(Listener& listener, const boost::system::error_code& error) {
    listener.is_armed = false;
    if (!listener.acceptor.is_open()) {
      // It was accepted just before the listener was closed.
      boost::system::error_code ignored;
      listener.socket.close(ignored);
      return;
    }
    if (error) return Pause(listener);
    Protocol::socket socket = std::move(listener.socket);
    listener.socket = Protocol::socket(shared_.io);
    const Protocol::endpoint peer = listener.peer;
    Accept(listener);
    RunSome([&] { Serve(std::move(socket), peer); });
  }

  // Waits: mostly, too many files are open, and others will be closed.
  void Pause(Listener& listener) {
    listener.pause.expires_after(std::chrono::milliseconds(100));
    listener.pause.async_wait([this, &listener](const auto&) {
      listener.is_armed = false;
      Accept(listener);
    });
    listener.is_armed = true;
  }

  void Serve(Protocol::socket socket, const Protocol::endpoint& endpoint) {
    Peer peer = PeerOf(reinterpret_cast<const sockaddr*>(endpoint.data()));
    boost::system::error_code ignored;
    if (peer.counted != "unix") {
      socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    }
    // What a slow reader leaves there counts for no limit of ours.
    socket.set_option(asio::socket_base::send_buffer_size(kSendBufferBytes),
                      ignored);
    const HttpLimits& limits = shared_.options.limits;
    const size_t count = shared_.connections.size();
    const auto of_client = shared_.per_client.find(peer.counted);
    HttpProblem problem;
    if (count >= limits.connections) {
      problem.message =
          absl::StrCat("the server has ", limits.connections, " connections");
    } else if (peer.counted != "unix" &&
               of_client != shared_.per_client.end() &&
               of_client->second >= limits.connections_per_address) {
      problem.message =
          absl::StrCat("the server has ", limits.connections_per_address,
                       " connections of this address");
    } else {
      std::make_shared<Connection>(
          shared_, MakeStream(std::move(socket), tls_.get()), std::move(peer))
          ->Start();
      return;
    }
    // A handshake of TLS would cost more than it is worth.
    if (tls_ != nullptr || count >= limits.connections + kMaxRefused) return;
    problem.status = 503;
    problem.code = "overloaded";
    problem.retry_seconds = 1;
    std::make_shared<Connection>(
        shared_, MakeStream(std::move(socket), nullptr), std::move(peer))
        ->Refuse(problem);
  }

  // Calls a function for each connection, which it may close. Needs no memory.
  template <class Function>
  void ForEachConnection(const Function& function) {
    auto next = shared_.connections.begin();
    while (next != shared_.connections.end()) {
      Connection* const connection = *next++;
      // Those that are just being destroyed have no owner.
      if (const auto owned = connection->weak_from_this().lock()) {
        function(*owned);
      }
    }
  }

  void StopListening() {
    for (Listener& listener : listeners_) {
      boost::system::error_code ignored;
      listener.acceptor.close(ignored);
      listener.pause.cancel();
    }
  }

  void BeginDrain() {
    shared_.draining = true;
    StopListening();
    ForEachConnection([](Connection& connection) { connection.Drain(); });
    CheckDrained();
  }

  void CheckDrained() {
    if (!shared_.draining || !shared_.connections.empty()) return;
    const std::lock_guard lock(mutex_);
    is_drained_ = true;
    drained_.notify_all();
  }

  void End() {
    num_unfinished_ = shared_.connections.size();
    StopListening();
    ForEachConnection(
        [](Connection& connection) { connection.Close("the server ends"); });
    work_.reset();
  }

  std::shared_ptr<TlsContext> tls_;  // may be null
  HttpShared shared_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::vector<ListenSocket> sockets_;  // own the files of Unix sockets
  std::list<Listener> listeners_;
  std::thread thread_;

  std::mutex mutex_;
  std::condition_variable drained_;
  bool is_drained_ = false;
  size_t num_unfinished_ = 0;
};

HttpService::HttpService(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpService::~HttpService() = default;

absl::StatusOr<std::unique_ptr<HttpService>> HttpService::Start(
    Server& server, HttpOptions options, std::vector<ListenSocket> sockets,
    std::unique_ptr<TlsContext> tls) {
  auto impl =
      std::make_unique<Impl>(server, std::move(options), std::move(tls));
  if (const absl::Status status = impl->Start(std::move(sockets));
      !status.ok()) {
    return status;
  }
  return std::unique_ptr<HttpService>(new HttpService(std::move(impl)));
}

void HttpService::SetTls(std::unique_ptr<TlsContext> tls) {
  impl_->SetTls(std::move(tls));
}

size_t HttpService::Drain(size_t seconds) { return impl_->Drain(seconds); }

size_t AllowConnections(size_t wanted) {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
  const rlim_t needed = wanted + kMaxRefused + kOtherDescriptors;
  if (limit.rlim_cur < needed) {
    limit.rlim_cur = std::min(needed, limit.rlim_max);
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
      getrlimit(RLIMIT_NOFILE, &limit);
    }
  }
  const rlim_t others = kMaxRefused + kOtherDescriptors;
  const rlim_t left = limit.rlim_cur > others ? limit.rlim_cur - others : 1;
  return static_cast<size_t>(std::min<rlim_t>(wanted, left));
}

}  // namespace gemma::tools
