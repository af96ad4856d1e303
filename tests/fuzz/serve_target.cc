// Requests to a server: any path and body. The response must be one of HTTP,
// end, and be JSON or events.

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gemma/serve.h"
#include "nlohmann/json.hpp"
#include "tests/fuzz/harness.h"
#include "tests/fuzz/targets.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

// A server with small models, whose answers are short.
Server MakeServer() {
  LoadOptions load;
  load.num_threads = 1;
  absl::StatusOr<Server> server =
      Server::Create({.max_choices = 3, .max_seconds = 5});
  const EngineOptions options = {.max_tokens = 64, .max_sequences = 2};
  const std::string files = std::string(GEMMA_TESTDATA_DIR) + "/gguf/";
  for (const auto& [name, path] :
       {std::pair("a", files + "gemma3_mixed.gguf"),
        std::pair("b", ToyPath("gemma4_chat")),
        std::pair("c", files + "gemma_embedding.gguf"),
        std::pair("d", ToyPath("gemma_fill"))}) {
    ServedModel served = {name, LoadOrDie(path, load), options};
    if (served.name == "a") {
      absl::StatusOr<SparseAutoencoder> autoencoder = SparseAutoencoder::Load(
          GEMMA_TESTDATA_DIR
          "/scope/gemma-scope-mixed-pt-res/layer_1/width_16/average_l0_4");
      Require(autoencoder.ok(), autoencoder.status().message());
      served.autoencoders.push_back({"s", *std::move(autoencoder)});
    }
    const absl::Status added = server->Add(std::move(served));
    Require(added.ok(), absl::StrCat(path, ": ", added.message()));
  }
  server->Open();
  return *std::move(server);
}

struct Bell {
  std::mutex mutex;
  std::condition_variable rung;
  bool rings = false;
};

// Reads a response to its end. Returns its status and body.
std::pair<HttpHead, std::string> ReadAll(Exchange& exchange, Bell& bell) {
  HttpHead head;
  std::string body;
  for (;;) {
    Exchange::Output output = exchange.Take();
    if (output.has_head) {
      Require(head.status == 0, "a second head");
      head = std::move(output.head);
    }
    Require(output.body.empty() || head.status != 0, "a body without a head");
    body += output.body;
    if (output.ended) return {std::move(head), std::move(body)};
    std::unique_lock lock(bell.mutex);
    Require(bell.rung.wait_for(lock, std::chrono::minutes(1),
                               [&] { return bell.rings; }),
            "the response does not end");
    bell.rings = false;
  }
}

void CheckError(const nlohmann::json& json) {
  const std::string message = json["error"]["message"].get<std::string>();
  Require(!message.empty() && !absl::StrContains(message, '\n'), message);
}

void CheckBody(const HttpHead& head, std::string_view body) {
  if (!head.is_stream) {
    Require(nlohmann::json::accept(body), "a body is not JSON");
    if (head.status != 200) CheckError(nlohmann::json::parse(body));
    return;
  }
  bool done = false;
  bool failed = false;
  for (const std::string_view event : absl::StrSplit(body, "\n\n")) {
    if (event.empty()) continue;
    Require(!done && !failed && absl::StartsWith(event, "data: "), event);
    const std::string_view data = event.substr(6);
    if (data == "[DONE]") {
      done = true;
      continue;
    }
    Require(nlohmann::json::accept(data), "an event is not JSON");
    failed = nlohmann::json::parse(data).contains("error");
  }
  Require(done || failed, "a stream has no end");
}

}  // namespace

bool FuzzServe(absl::Span<const uint8_t> input) {
  static Server* const server = new Server(MakeServer());
  const std::string_view text = TextOf(input);
  const size_t end = std::min(text.find('\n'), text.size());
  HttpRequest request = {
      .method = "POST",
      .target = std::string(text.substr(0, end)),
      .headers = {{"content-type", "application/json"}},
      .body = std::string(text.substr(std::min(end + 1, text.size())))};
  if (request.body.empty()) request.method = "GET";
  if (request.target == "/metrics") return true;  // not JSON
  Bell bell;
  absl::StatusOr<Exchange> exchange = server->Handle(request, [&bell] {
    const std::lock_guard lock(bell.mutex);
    bell.rings = true;
    bell.rung.notify_one();
  });
  Require(exchange.ok(), exchange.status().message());
  const auto [head, body] = ReadAll(*exchange, bell);
  Require(head.status >= 200 && head.status < 600, "a status");
  Require(head.status < 500 || head.status == 503 || head.status == 504, body);
  CheckBody(head, body);
  return head.status == 200;
}

}  // namespace gemma::internal
