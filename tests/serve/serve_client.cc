#include "tests/serve/serve_client.h"

#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/error_of.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

Model LoadServed(const std::string& path) {
  LoadOptions options;
  options.num_threads = kToyThreads;
  return LoadOrDie(path, options);
}

// Divides a stream into its events.
void ReadEvents(Reply& reply) {
  for (const std::string_view event : absl::StrSplit(reply.body, "\n\n")) {
    if (event.empty() || event[0] == ':') continue;
    EXPECT_TRUE(absl::StartsWith(event, "data: ")) << event;
    const std::string_view data = event.substr(6);
    EXPECT_FALSE(reply.is_done) << event;
    if (data == "[DONE]") {
      reply.is_done = true;
    } else {
      reply.events.push_back(ServeJson::parse(data));
    }
  }
}

}  // namespace

Model Gemma3Toy() {
  static const Model* model = new Model(
      LoadServed(std::string(GEMMA_TESTDATA_DIR) + "/gguf/gemma3_mixed.gguf"));
  return *model;
}

Model Gemma4Toy() {
  static const Model* model = new Model(LoadServed(ToyPath("gemma4_chat")));
  return *model;
}

ServeJson OnlyBytes(const Tokenizer& tokenizer) {
  ServeJson biases;
  for (TokenId token = 0; token < static_cast<int>(tokenizer.vocab_size());
       ++token) {
    const std::string_view piece = tokenizer.Piece(token);
    if (piece == "<0x74>" || piece == "<0x68>" || piece == "<0x65>") continue;
    biases[absl::StrCat(token)] = -1e9;
  }
  return biases;
}

Server ServerOf(const Model& model, const EngineOptions& options,
                const ServerOptions& server_options) {
  absl::StatusOr<Server> server = Server::Create(server_options);
  EXPECT_EQ(ErrorOf(server), "OK");
  EXPECT_EQ(ErrorOf(server->Add({"toy", model, options})), "OK");
  server->Open();
  return *std::move(server);
}

std::string Reply::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return "";
}

std::string Reply::error() const {
  if (!json.contains("error")) return body;
  const ServeJson& error = json["error"];
  return absl::StrCat(
      error["param"].is_null() ? "" : error["param"].get<std::string>(), ": ",
      error["message"].get<std::string>());
}

Pending::Pending(Server& server, HttpRequest request) {
  absl::StatusOr<Exchange> exchange =
      server.Handle(std::move(request), [bell = bell_] {
        const std::lock_guard lock(bell->mutex);
        bell->rings = true;
        bell->rung.notify_one();
      });
  EXPECT_EQ(ErrorOf(exchange), "OK");
  exchange_ = std::make_unique<Exchange>(*std::move(exchange));
}

bool Pending::Take() {
  Exchange::Output output = exchange_->Take();
  if (output.has_head) {
    EXPECT_EQ(reply_.status, 0) << "two heads";
    reply_.status = output.head.status;
    reply_.headers = std::move(output.head.headers);
  }
  if (!output.body.empty()) {
    EXPECT_NE(reply_.status, 0) << "a body before the head";
  }
  reply_.body += output.body;
  ended_ = ended_ || output.ended;
  return ended_;
}

void Pending::Until(const std::function<bool(const Reply& so_far)>& done) {
  for (;;) {
    const bool ended = Take();
    if (done(reply_)) return;
    ASSERT_FALSE(ended) << reply_.body;
    std::unique_lock lock(bell_->mutex);
    ASSERT_TRUE(bell_->rung.wait_for(lock, std::chrono::minutes(2),
                                     [this] { return bell_->rings; }));
    bell_->rings = false;
  }
}

Reply Pending::WaitForText() {
  Until([this](const Reply&) { return ended_; });
  return reply_;
}

Reply Pending::Wait() {
  WaitForText();
  if (reply_.header("content-type") == "text/event-stream") {
    ReadEvents(reply_);
  } else {
    reply_.json = ServeJson::parse(reply_.body);
  }
  return reply_;
}

HttpRequest GetRequest(std::string_view path) {
  return {.method = "GET", .target = std::string(path)};
}

HttpRequest PostRequest(std::string_view path, std::string body) {
  return {.method = "POST",
          .target = std::string(path),
          .headers = {{"Content-Type", "application/json; charset=utf-8"}},
          .body = std::move(body)};
}

Reply Get(Server& server, std::string_view path) {
  return Pending(server, GetRequest(path)).Wait();
}

Reply Post(Server& server, std::string_view path, const ServeJson& body) {
  return Pending(server, PostRequest(path, body.dump())).Wait();
}

Completion AnswerOf(const Model& model, std::vector<TokenId> prompt,
                    GenerateOptions options) {
  Session session = NewSession(model, {.max_tokens = 4096});
  Completion answer;
  const size_t size = prompt.size();
  const auto stats =
      Generate(session, prompt, options, [&](std::string_view text) {
        answer.text += text;
        return true;
      });
  EXPECT_EQ(ErrorOf(stats), "OK");
  answer.stats = *stats;
  const auto tokens = session.tokens().subspan(size);
  answer.tokens.assign(tokens.begin(), tokens.end());
  return answer;
}

}  // namespace gemma::internal
