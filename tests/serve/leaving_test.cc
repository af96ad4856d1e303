// Clients that leave: their requests end within one pass of the model, in the
// queue, in the prompt and in the answer.

#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/serve/serve_client.h"
#include "tests/support/error_of.h"
#include "tests/support/without_hanging.h"

namespace gemma::internal {
namespace {

// The prompt of the client that leaves takes several passes.
constexpr size_t kPromptTokens = 1100;
constexpr size_t kOtherTokens = 60;  // of another answer, which goes on

// A server whose engine does something between its passes. Then nothing is
// computed, so that what it counts is exact.
class CountedServer {
 public:
  explicit CountedServer(size_t max_sequences) {
    server_.emplace(ServerOf(Gemma3Toy(), {.max_tokens = 8192,
                                           .max_sequences = max_sequences,
                                           .between_passes = [this] {
                                             const std::lock_guard lock(mutex_);
                                             if (between_passes_)
                                               between_passes_();
                                           }}));
  }

  Server& server() { return *server_; }

  // Holds the engine between two passes while `body` runs.
  void Hold(const std::function<void()>& body) {
    const std::lock_guard lock(mutex_);
    body();
  }
  // Sets what happens between passes. Call this in Hold.
  void BetweenPasses(std::function<void()> function) {
    between_passes_ = std::move(function);
  }

  // The value of a metric, whose labels follow the model's name.
  double Count(std::string_view name, std::string_view labels = "") {
    const std::string text =
        Pending(*server_, GetRequest("/metrics")).WaitForText().body;
    const std::string sample =
        absl::StrCat("\ngemma:", name, "{model_name=\"toy\"", labels, "} ");
    const size_t at = text.find(sample);
    EXPECT_NE(at, std::string::npos) << sample;
    return std::stod(text.substr(at + sample.size()));
  }
  double passes() { return Count("passes_total"); }
  double cancelled(std::string_view where) {
    return Count("cancelled_total", absl::StrCat(",where=\"", where, "\""));
  }

 private:
  std::mutex mutex_;  // guards what follows
  std::function<void()> between_passes_;
  std::optional<Server> server_;  // ends first
};

HttpRequest StreamOf(std::vector<TokenId> prompt, size_t max_tokens) {
  ServeJson biases;
  for (const TokenId token : Gemma3Toy().config().stop_tokens) {
    biases[absl::StrCat(token)] = -1e9;
  }
  return PostRequest(kTextPath, ServeJson{{"prompt", std::move(prompt)},
                                          {"stream", true},
                                          {"seed", 1},
                                          {"max_tokens", max_tokens},
                                          {"logit_bias", biases}}
                                    .dump());
}

size_t CountOf(std::string_view text, std::string_view part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string_view::npos;
       at = text.find(part, at + part.size())) {
    ++count;
  }
  return count;
}

// What has happened when a client may leave.
struct Seen {
  size_t texts = 0;     // events with text
  double queued = 0;    // requests that wait
  double computed = 0;  // tokens of prompts
};

// A client sends a long request while another one has an answer. It leaves when
// `leaves` says so.
void ExpectEndWithinOnePass(std::string_view where, size_t max_sequences,
                            const HttpRequest& request,
                            const std::function<bool(const Seen&)>& leaves) {
  SCOPED_TRACE(where);
  CountedServer counted(max_sequences);
  std::optional<Pending> other;
  std::optional<Exchange> leaver;
  std::string body;
  std::optional<double> left_at, ended_at;
  const auto watch = [&] {
    if (leaver.has_value()) {
      body += leaver->Take().body;
      const Seen seen = {
          .texts = CountOf(body, "\"text\""),
          .queued = counted.Count("num_requests_waiting"),
          .computed = counted.Count("prompt_tokens_computed_total")};
      if (!leaves(seen)) return;
      leaver.reset();
      left_at = counted.passes();
      EXPECT_EQ(counted.cancelled(where), 0);
    } else if (left_at.has_value() && !ended_at.has_value() &&
               counted.cancelled(where) == 1) {
      ended_at = counted.passes();
    }
  };
  counted.Hold([&] {
    other.emplace(counted.server(), StreamOf({2, 300, 310}, kOtherTokens));
    absl::StatusOr<Exchange> sent = counted.server().Handle(request);
    ASSERT_EQ(ErrorOf(sent), "OK");
    leaver.emplace(*std::move(sent));
    counted.BetweenPasses(watch);
  });
  WithoutHanging([&] { other->Wait(); });
  counted.Hold([&] {
    ASSERT_TRUE(left_at.has_value());
    ASSERT_TRUE(ended_at.has_value());
    EXPECT_LE(*ended_at, *left_at + 1);
    // The other one did not notice: a pass for each of its tokens.
    EXPECT_GE(counted.passes(), *left_at + 5);
    EXPECT_EQ(counted.Count("num_requests_running"), 0);
    counted.BetweenPasses(nullptr);
  });
}

// Requests with a prompt of many passes.
HttpRequest LongStream() {
  return StreamOf(std::vector<TokenId>(kPromptTokens, 320), 4000);
}
HttpRequest LongScore() {
  const ServeJson body = {{"prompt", std::vector<TokenId>(kPromptTokens, 320)},
                          {"choices", {{300}, {310}}}};
  return PostRequest("/v1/score", body.dump());
}

TEST(LeavingClients, EndInTheQueue) {
  for (const HttpRequest& request : {LongStream(), LongScore()}) {
    SCOPED_TRACE(request.target);
    ExpectEndWithinOnePass("queue", 1, request, [](const Seen& seen) {
      return seen.queued == 1 && seen.computed > 0;
    });
  }
}

TEST(LeavingClients, EndInThePrompt) {
  for (const HttpRequest& request : {LongStream(), LongScore()}) {
    SCOPED_TRACE(request.target);
    ExpectEndWithinOnePass("prefill", 2, request, [](const Seen& seen) {
      EXPECT_LT(seen.computed, kPromptTokens);
      return seen.computed > kPromptTokens / 4;
    });
  }
}

TEST(LeavingClients, EndInTheAnswer) {
  ExpectEndWithinOnePass("decode", 2, LongStream(),
                         [](const Seen& seen) { return seen.texts >= 3; });
}

}  // namespace
}  // namespace gemma::internal
