// Allocations that fail while a server reads a request, computes its answer and
// writes the response: the response ends, and the server goes on.

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gemma/gemma.h"
#include "gemma/serve.h"
#include "gtest/gtest.h"
#include "tests/fault/fault_toys.h"
#include "tests/fault/faults.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

HttpRequest RequestOf(const std::string& path, const std::string& body) {
  return {.method = body.empty() ? "GET" : "POST",
          .target = path,
          .headers = {{"content-type", "application/json"}},
          .body = body};
}

// Whether a response is whole: a stream ends with [DONE], and no event is an
// error.
bool IsWhole(const std::string& body, bool is_stream) {
  return !is_stream || (absl::EndsWith(body, "data: [DONE]\n\n") &&
                        !absl::StrContains(body, "\"error\""));
}

// Wakes the reader of a response. A function with a pointer to it can be copied
// without memory.
struct ReaderBell {
  std::mutex mutex;
  std::condition_variable rung;
  bool rings = false;

  void Ring() {
    const std::lock_guard lock(mutex);
    rings = true;
    rung.notify_one();
  }
  // Returns whether it rang in time.
  bool Wait() {
    std::unique_lock lock(mutex);
    return rung.wait_for(lock, std::chrono::minutes(1),
                         [this] { return std::exchange(rings, false); });
  }
};

class ServeFaults : public ::testing::Test {
 protected:
  ServeFaults() {
    const Model model =
        LoadOrDie(WriteFaultDirectory(TestDirectory()), FaultOptions());
    EXPECT_TRUE(server_.Add({"toy", model, {.max_tokens = 64}}).ok());
    server_.Open();
  }

  // Asks the server through the injector. Returns OK with the body of a whole
  // response, or ResourceExhausted if the response says that memory ran out.
  absl::StatusOr<std::string> Ask(Injector& faults, HttpRequest request) {
    ReaderBell bell;
    const auto on_ready = [&bell] { bell.Ring(); };
    std::optional<absl::StatusOr<Exchange>> exchange;
    HttpHead head;
    std::string body;
    bool ended = false;
    faults([&] {
      exchange.emplace(server_.Handle(std::move(request), on_ready));
      const Exempt exempt;
      while (exchange->ok() && !ended) {
        Exchange::Output output = (*exchange)->Take();
        if (output.has_head) head = std::move(output.head);
        body += output.body;
        ended = output.ended;
        if (!ended && !bell.Wait()) {
          ADD_FAILURE() << "the response does not end";
          break;
        }
      }
    });
    if (!exchange->ok()) return exchange->status();
    if (head.status == 503) return absl::ResourceExhaustedError(body);
    if (head.status != 200) {
      return absl::InternalError(absl::StrCat(head.status, " ", body));
    }
    if (IsWhole(body, head.is_stream)) return body;
    return absl::ResourceExhaustedError(body);
  }

  // Fails each allocation of the request in turn.
  void SweepRequest(const std::string& path, const std::string& fields) {
    SCOPED_TRACE(path);
    const HttpRequest asked = RequestOf(path, fields);
    SweepMemory([&](Injector& faults) -> absl::Status {
      const auto body = Ask(faults, asked);
      EXPECT_EQ(AskCalmly("/health", ""), R"({"status":"ok"})");
      return body.status();
    });
    EXPECT_EQ(AskCalmly("/tokenize", R"({"prompt": "hell", "model": "toy"})"),
              R"({"count":2,"max_model_len":64,"tokens":[2,272]})");
  }

  // Asks without faults.
  std::string AskCalmly(const std::string& path, const std::string& fields) {
    absl::StatusOr<Exchange> exchange = server_.Handle(RequestOf(path, fields));
    return exchange.ok() ? (*exchange).Take().body : "";
  }

  Server server_ = *Server::Create();
};

TEST_F(ServeFaults, Streams) {
  SweepRequest("/v1/chat/completions",
               R"({"messages": [{"role": "user", "content": "hell"}],
                   "max_tokens": 2, "stream": true, "logprobs": true})");
}

TEST_F(ServeFaults, WholeAnswers) {
  SweepRequest(
      "/v1/completions",
      R"({"prompt": ["he", "ll"], "max_tokens": 2, "regex": "[a-e]+"})");
}

TEST_F(ServeFaults, OtherRoutes) {
  SweepRequest("/v1/score", R"({"prompt": "he", "choices": ["ll", "o"]})");
  SweepRequest("/metrics", "");
  SweepRequest("/v1/models", "");
}

}  // namespace
}  // namespace gemma::internal
