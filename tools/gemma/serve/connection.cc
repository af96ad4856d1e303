#include "tools/gemma/serve/connection.h"

#include <atomic>
#include <boost/asio/post.hpp>
#include <chrono>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tools/gemma/serve/response_text.h"

namespace gemma::tools {
namespace {

namespace asio = boost::asio;

// The most bytes of a body that nobody reads, after its response.
constexpr size_t kMaxThrownAway = size_t{16} << 20;

}  // namespace

class Connection::Wake : public std::enable_shared_from_this<Wake> {
 public:
  Wake(asio::io_context& io, std::weak_ptr<Connection> connection)
      : io_(io), connection_(std::move(connection)) {}

  // The client has left.
  void SetGone() { is_gone_.store(true); }
  bool is_gone() const { return is_gone_.load(); }

  void Set() noexcept {
    if (is_set_.exchange(true)) return;
    try {
      asio::post(io_, [self = shared_from_this()] { self->Ring(); });
    } catch (...) {
      is_set_.store(false);  // OnTime will look
    }
  }

  // Calls OnExchange on the I/O thread, unless the client has left.
  void Bring(
      const std::shared_ptr<absl::StatusOr<Exchange>>& exchange) noexcept {
    while (!is_gone()) {
      try {
        return asio::post(io_, [self = shared_from_this(), exchange] {
          self->Call([&](Connection& connection) {
            connection.OnExchange(std::move(*exchange));
          });
        });
      } catch (...) {
        std::this_thread::sleep_for(kMemoryWait);
      }
    }
  }

 private:
  void Ring() {
    is_set_.store(false);
    Call([](Connection& connection) { connection.Pump(); });
  }

  // Calls a function of the connection, if its request is still the same.
  template <class Function>
  void Call(const Function& function) {
    const std::shared_ptr<Connection> connection = connection_.lock();
    if (connection == nullptr || connection->wake_.get() != this) return;
    connection->Step([&] { function(*connection); });
  }

  asio::io_context& io_;
  const std::weak_ptr<Connection> connection_;
  std::atomic<bool> is_set_ = false;
  std::atomic<bool> is_gone_ = false;
};

Connection::Connection(HttpShared& shared, std::unique_ptr<Stream> stream,
                       Peer peer)
    : shared_(shared),
      limits_(shared.options.limits),
      stream_(std::move(stream)),
      peer_(std::move(peer)),
      timer_(shared.io) {
  size_t& of_client = shared_.per_client[peer_.counted];
  shared_.connections.insert(this);
  ++of_client;  // last, because the others may throw
}

Connection::~Connection() { Close(""); }

void Connection::Start() {
  shared_.log.Event(peer_.name, "connected");
  Step([this] {
    SetTimer(limits_.head_seconds);
    stream_->Begin(
        [self = shared_from_this()](const Stream::Error& error, size_t) {
          if (self->state_ != State::kBegins) return;
          if (error) return self->Close("no handshake of TLS");
          self->state_ = State::kReceives;
          self->Step([&] { self->Read(); });
        });
  });
}

void Connection::Refuse(const HttpProblem& problem) {
  Step([&] {
    state_ = State::kReceives;
    stays_open_ = false;
    logged_ = {};
    logged_.peer = peer_.name;
    Reply(problem);
    Read();
  });
}

void Connection::Drain() {
  const bool is_idle = state_ == State::kBegins ||
                       (state_ == State::kReceives && !reader_.has_value());
  if (is_idle) Close("idle, and the server ends");
}

void Connection::Close(std::string_view why) noexcept {
  if (state_ == State::kClosed) return;
  if (state_ == State::kAnswers) Log(why);
  shared_.log.Event(peer_.name, why.empty() ? "closed" : why);
  state_ = State::kClosed;
  ++timer_number_;
  timer_.cancel();
  exchange_.reset();
  if (wake_ != nullptr) wake_->SetGone();
  wake_.reset();
  ReleaseBody();
  stream_->Close();
  shared_.connections.erase(this);
  const auto of_client = shared_.per_client.find(peer_.counted);
  if (--of_client->second == 0) shared_.per_client.erase(of_client);
  if (shared_.on_closed) shared_.on_closed();
}

void Connection::Read() {
  if (at_end_ || state_ == State::kClosed) return;
  stream_->Read(
      asio::buffer(buffer_),
      [self = shared_from_this()](const Stream::Error& error, size_t size) {
        if (self->state_ == State::kClosed) return;
        if (error) return self->OnEnd("the client left");
        self->Step([&] {
          self->OnRead(size);
          self->Read();
        });
      });
}

void Connection::OnRead(size_t size) {
  if (state_ == State::kLingers) {
    thrown_away_ += size;
    if (thrown_away_ > kMaxThrownAway) Close("the client sends on and on");
    return;
  }
  input_.append(buffer_.data(), size);
  if (state_ == State::kReceives) {
    Receive();
  } else if (input_.size() > limits_.ahead_bytes) {
    Close("the client sends too far ahead");
  }
}

void Connection::OnEnd(std::string_view why) {
  at_end_ = true;
  // The rest of a complete response may still be read.
  if (state_ == State::kAnswers && ended_) {
    stays_open_ = false;
    return;
  }
  Close(why);
}

void Connection::Receive() {
  while (state_ == State::kReceives) {
    if (!reader_.has_value()) {
      // Some clients end a body with an empty line that its length leaves out.
      size_t begin = 0;
      while (input_.compare(begin, 2, "\r\n") == 0) begin += 2;
      input_.erase(0, begin);
      if (input_.empty()) return;
      reader_.emplace(limits_);
      stopwatch_ = Stopwatch();
      logged_ = {};
      logged_.peer = peer_.name;
      SetTimer(limits_.head_seconds);
    }
    switch (reader_->Read(&input_)) {
      case RequestReader::Progress::kNeedsMore:
        ReserveBody();
        return;
      case RequestReader::Progress::kWrong:
        stays_open_ = false;
        return Reply(reader_->problem());
      case RequestReader::Progress::kHead:
        if (!AcceptHead()) return;
        break;
      case RequestReader::Progress::kComplete:
        if (ReserveBody()) Dispatch();
        return;
    }
  }
}

bool Connection::AcceptHead() {
  ReceivedRequest& request = reader_->request();
  is_1_1_ = request.is_1_1;
  only_head_ = request.method == "HEAD";
  // What follows a refused head may be its body.
  stays_open_ =
      reader_->wants_more() && !reader_->has_body() && !shared_.draining;
  logged_.method = request.method;
  logged_.target = request.target;
  logged_.id = std::string(request.Find("x-request-id"));
  cors_ = CorsHeaders(shared_.options.access, request);
  client_ = peer_.counted;
  if (const HttpProblem problem =
          CheckAccess(shared_.options.access, &request, &client_)) {
    Reply(problem);
    return false;
  }
  if (reader_->has_body()) SetTimer(limits_.body_seconds);
  if (reader_->expects_continue() && input_.empty()) {
    Send(kContinue);
    Flush();
  }
  return true;
}

bool Connection::ReserveBody() {
  const size_t size = reader_->request().body.size();
  shared_.body_bytes += size - reserved_;
  reserved_ = size;
  if (shared_.body_bytes <= limits_.all_body_bytes()) return true;
  stays_open_ = false;
  Reply({503, "the server receives too many requests at once", "overloaded",
         /*retry_seconds=*/1});
  return false;
}

void Connection::ReleaseBody() {
  shared_.body_bytes -= reserved_;
  reserved_ = 0;
}

void Connection::Dispatch() {
  state_ = State::kAnswers;
  SetTimer(limits_.ping_seconds);
  stays_open_ = reader_->wants_more() && !shared_.draining;
  ReceivedRequest& received = reader_->request();
  if (received.method == "OPTIONS") return AnswerOptions();
  if (shared_.options.access.has_page) {
    const PageFile* file = FindPageFile(received.method, received.target);
    if (file != nullptr) return AnswerPage(*file);
  }
  if (shared_.options.logs_prompts) logged_.body = received.body;
  HttpRequest request;
  request.method = only_head_ ? "GET" : received.method;
  request.target = std::move(received.target);
  request.headers = std::move(received.headers);
  request.body = std::move(received.body);
  request.client = client_;
  wake_ = std::make_shared<Wake>(shared_.io, weak_from_this());
  const auto on_ready = [wake = wake_] { wake->Set(); };
  if (request.body.empty()) {
    return OnExchange(shared_.server.Handle(std::move(request), on_ready));
  }
  // Made here, so that only this thread needs memory.
  auto exchange =
      std::make_shared<absl::StatusOr<Exchange>>(absl::CancelledError());
  // It does not own the connection, which only the I/O thread may destroy.
  asio::post(shared_.readers,
             [&server = shared_.server, wake = wake_, on_ready, exchange,
              request = std::move(request)]() mutable {
               try {
                 if (!wake->is_gone()) {
                   *exchange = server.Handle(std::move(request), on_ready);
                 }
               } catch (...) {
                 *exchange = absl::ResourceExhaustedError("");
               }
               wake->Bring(exchange);
             });
}

void Connection::OnExchange(absl::StatusOr<Exchange> exchange) {
  ReleaseBody();
  if (state_ != State::kAnswers) return;  // destroys it, as its client left
  if (!exchange.ok()) {
    return Reply({503, "the server has no memory for this request",
                  "overloaded", /*retry_seconds=*/1});
  }
  exchange_.emplace(*std::move(exchange));
  Pump();
}

void Connection::AnswerOptions() {
  HttpHead head = {204, {{"allow", "GET, HEAD, POST, OPTIONS"}}};
  only_head_ = true;
  BeginResponse(std::move(head));
  EndResponse();
}

void Connection::AnswerPage(const PageFile& file) {
  ReleaseBody();
  PageResponse response = RespondWithFile(file, reader_->request());
  BeginResponse(std::move(response.head));
  AppendBody(response.body);
  EndResponse();
}

void Connection::SetTimer(size_t seconds) {
  const uint64_t number = ++timer_number_;
  if (seconds == 0) {
    timer_.cancel();
    return;
  }
  timer_.expires_after(std::chrono::seconds(seconds));
  timer_.async_wait([self = shared_from_this(), number](const auto& error) {
    if (!error && self->timer_number_ == number) {
      self->Step([&] { self->OnTime(); });
    }
  });
}

void Connection::OnTime() {
  switch (state_) {
    case State::kBegins:
      return Close("no handshake of TLS in time");
    case State::kReceives:
      if (!reader_.has_value() || writes_) return Close("no request in time");
      stays_open_ = false;
      return Reply({408, "the request did not arrive in time"});
    case State::kAnswers:
      if (writes_) return Close("the client reads too slowly");
      if (exchange_.has_value()) exchange_->Ping();
      SetTimer(limits_.ping_seconds);
      return Pump();
    case State::kLingers:
      return Close("");
    case State::kClosed:
      return;
  }
}

}  // namespace gemma::tools
