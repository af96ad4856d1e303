// A client of HTTP: any bytes, in pieces of any size. What it gets must be
// responses, no more than it sent requests, and the connection must end and
// leave nothing behind.

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "gemma/serve.h"
#include "nlohmann/json.hpp"
#include "tests/fuzz/harness.h"
#include "tests/fuzz/targets.h"
#include "tests/support/toy_models.h"
#include "tools/gemma/serve/connection.h"
#include "tools/gemma/serve/response_text.h"

namespace gemma::internal {
namespace {

namespace asio = boost::asio;

// What a client sends and gets.
struct Wire {
  asio::io_context& io;
  std::string_view input;     // still to send
  const size_t read_bytes;    // that arrive at once
  const size_t write_bytes;   // that the client takes at once
  std::string output;         // that the client has got
  tools::Stream::Done waits;  // a read, while there is nothing to send
  bool is_closed = false;

  void Answer(tools::Stream::Done done, tools::Stream::Error error,
              size_t size) const {
    asio::post(io,
               [done = std::move(done), error, size] { done(error, size); });
  }
  // Ends the read that waits.
  void End(tools::Stream::Error error) {
    if (waits) Answer(std::exchange(waits, nullptr), error, 0);
  }
};

// The server's end of a wire.
class WireStream : public tools::Stream {
 public:
  explicit WireStream(std::shared_ptr<Wire> wire) : wire_(std::move(wire)) {}

  void Begin(Done done) override { wire_->Answer(std::move(done), {}, 0); }
  void Read(asio::mutable_buffer into, Done done) override {
    std::string_view& input = wire_->input;
    if (input.empty()) {
      Require(!wire_->waits, "two reads are pending");
      wire_->waits = std::move(done);
      return;
    }
    const size_t size =
        std::min({input.size(), into.size(), wire_->read_bytes});
    std::copy_n(input.begin(), size, static_cast<char*>(into.data()));
    input.remove_prefix(size);
    wire_->Answer(std::move(done), {}, size);
  }
  void Write(asio::const_buffer from, Done done) override {
    const size_t size = std::min(from.size(), wire_->write_bytes);
    wire_->output.append(static_cast<const char*>(from.data()), size);
    wire_->Answer(std::move(done), {}, size);
  }
  void EndWriting(Done done) override { wire_->Answer(std::move(done), {}, 0); }
  void Close() override {
    wire_->is_closed = true;
    wire_->End(asio::error::operation_aborted);
  }

 private:
  const std::shared_ptr<Wire> wire_;
};

// Limits that short inputs reach.
tools::HttpOptions SmallOptions() {
  tools::HttpOptions options;
  options.limits.head_bytes = 600;
  options.limits.headers = 12;
  options.limits.body_bytes = 700;
  options.limits.chunks = 6;
  options.limits.ahead_bytes = 300;
  options.access.origins = {"https://page.example"};
  options.log = tools::LogLevel::kQuiet;
  return options;
}

tools::HttpShared& Shared() {
  static Server* const server = [] {
    LoadOptions load;
    load.num_threads = 1;
    const Model model = LoadOrDie(
        std::string(GEMMA_TESTDATA_DIR) + "/gguf/gemma3_mixed.gguf", load);
    auto made = Server::Create({.max_choices = 2, .max_seconds = 1});
    const EngineOptions options = {.max_tokens = 64, .max_sequences = 2};
    Require(made->Add({"a", model, options, false}).ok(), "no server");
    made->Open();
    return new Server(*std::move(made));
  }();
  static auto* const shared = new tools::HttpShared(*server, SmallOptions());
  return *shared;
}

// Runs what is ready, until nothing comes for so long or the connection is
// gone.
void RunUntilIdle(asio::io_context& io,
                  const std::weak_ptr<tools::Connection>& connection,
                  std::chrono::milliseconds idle) {
  while (!connection.expired()) {
    io.restart();
    if (io.run_one_for(idle) == 0) return;
  }
}

std::string_view ValueOf(std::string_view head, std::string_view name) {
  for (const std::string_view line : absl::StrSplit(head, "\r\n")) {
    if (absl::StartsWith(line, absl::StrCat(name, ": "))) {
      return line.substr(name.size() + 2);
    }
  }
  return "";
}

// Takes the chunks of a body from the beginning of `bytes`.
void SkipChunks(std::string_view& bytes) {
  while (!bytes.empty()) {
    const size_t end = bytes.find("\r\n");
    uint32_t size = 0;
    if (end == std::string_view::npos) break;
    Require(absl::SimpleHexAtoi(bytes.substr(0, end), &size), "no chunk");
    if (bytes.size() < end + 4 + size) break;
    Require(bytes.substr(end + 2 + size, 2) == "\r\n", "a chunk has no end");
    bytes.remove_prefix(end + 4 + size);
    if (size == 0) return;
  }
  bytes = "";  // the client left before the end
}

// Takes a response from the beginning of `bytes`, perhaps one that its client
// left. Returns its status.
int TakeResponse(std::string_view& bytes) {
  const size_t end = bytes.find("\r\n\r\n");
  int status = 0;
  if (end == std::string_view::npos) {
    bytes = "";
    return status;
  }
  const std::string_view head = bytes.substr(0, end + 2);
  bytes.remove_prefix(end + 4);
  Require(absl::StartsWith(head, "HTTP/1.1 "), head);
  Require(absl::SimpleAtoi(head.substr(9, 3), &status), head);
  Require(status >= 200 && status < 600, head);
  const bool is_head = absl::StartsWith(bytes, "HTTP/1.1 ");
  if (status == 204 || bytes.empty() || is_head) return status;
  if (ValueOf(head, "transfer-encoding") == "chunked") {
    SkipChunks(bytes);
    return status;
  }
  size_t size = bytes.size();  // to the end, for HTTP/1.0
  if (!absl::SimpleAtoi(ValueOf(head, "content-length"), &size) ||
      size > bytes.size()) {
    bytes = "";
    return status;
  }
  if (ValueOf(head, "content-type") == "application/json") {
    Require(nlohmann::json::accept(bytes.substr(0, size)), bytes);
  }
  bytes.remove_prefix(size);
  return status;
}

size_t CountOf(std::string_view part, std::string_view text) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string_view::npos;
       at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

}  // namespace

bool FuzzHttp(absl::Span<const uint8_t> input) {
  if (input.empty()) return false;
  tools::HttpShared& shared = Shared();
  const std::string_view sent = TextOf(input.subspan(1));
  // The first byte says how the bytes are cut, and whether the client waits for
  // answers before it leaves.
  const size_t cut = input[0];
  const auto wire = std::make_shared<Wire>(
      Wire{shared.io, sent, cut % 16 == 0 ? 4096 : cut % 16,
           cut / 16 % 4 == 0 ? 4096 : cut / 16 % 4, "", nullptr, false});
  auto connection = std::make_shared<tools::Connection>(
      shared, std::make_unique<WireStream>(wire), tools::Peer{"fuzz", "fuzz"});
  connection->Start();
  const std::weak_ptr<tools::Connection> open = connection;
  connection.reset();
  RunUntilIdle(shared.io, open, std::chrono::milliseconds(cut < 128 ? 1 : 100));
  wire->End(asio::error::eof);
  RunUntilIdle(shared.io, open, std::chrono::seconds(20));
  Require(open.expired(), "the connection does not end");
  Require(wire->is_closed, "the socket is open");
  Require(shared.connections.empty() && shared.per_client.empty() &&
              shared.body_bytes == 0,
          "the connection left something behind");
  bool is_answered = false;
  size_t num_responses = 0;
  for (std::string_view bytes = wire->output; !bytes.empty();) {
    if (absl::ConsumePrefix(&bytes, tools::kContinue)) continue;
    is_answered = TakeResponse(bytes) == 200 || is_answered;
    ++num_responses;
  }
  // Each request has a version, and what has none ends the connection.
  Require(num_responses <= CountOf("HTTP/1.", sent) + 1, "too many responses");
  return is_answered;
}

}  // namespace gemma::internal
