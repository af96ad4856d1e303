// Many requests of all kinds at once, a third of which their readers leave.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "tests/serve/serve_client.h"
#include "tests/support/error_of.h"

namespace gemma::internal {
namespace {

// tools/test.sh asks for more of them.
int NumRequests() {
  int number = 200;
  const char* wanted = std::getenv("SOAK_REQUESTS");
  if (wanted != nullptr && !absl::SimpleAtoi(wanted, &number)) std::abort();
  return number;
}

constexpr int kThreads = 4;

// The sum of a metric's samples of a model.
double MetricOf(Server& server, std::string_view name, std::string_view model) {
  const Reply reply = Pending(server, GetRequest("/metrics")).WaitForText();
  double sum = 0;
  for (const std::string_view line : absl::StrSplit(reply.body, '\n')) {
    double value = 0;
    if (line.starts_with(
            absl::StrCat("gemma:", name, "{model_name=\"", model, "\"")) &&
        absl::SimpleAtod(line.substr(line.rfind(' ') + 1), &value)) {
      sum += value;
    }
  }
  return sum;
}

class Soak {
 public:
  Soak() : server_(ServerOf(Gemma3Toy(), Options())) {
    // The same model for requests that nobody leaves, so that all that they
    // took is known.
    EXPECT_EQ(ErrorOf(server_.Add({"kept", Gemma3Toy(), Options()})), "OK");
  }

  void Run(int count) {
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] { AskMany(i, count / kThreads); });
    }
    for (std::thread& thread : threads) thread.join();
    for (const char* model : {"toy", "kept"}) WaitForEnd(model);
    EXPECT_EQ(Metric("generation_tokens_total", "kept"), new_tokens_);
    EXPECT_EQ(Metric("prompt_tokens_cached_total", "kept"), cached_tokens_);
    EXPECT_EQ(Metric("prefix_cache_queries_total", "kept"), prompt_tokens_);
    EXPECT_EQ(Metric("request_success_total", "kept"), num_kept_);
    EXPECT_EQ(Metric("cancelled_total", "kept"), 0);
    EXPECT_GE(Metric("request_success_total", "toy") +
                  Metric("cancelled_total", "toy"),
              num_answered_);
    EXPECT_LE(Metric("request_success_total", "toy"),
              num_answered_ + num_left_);
    EXPECT_EQ(Metric("request_failure_total", "toy"), 0);
  }

 private:
  static EngineOptions Options() {
    return {.max_tokens = 256, .max_sequences = 3, .reuse_bytes = 1 << 20};
  }
  double Metric(std::string_view name, std::string_view model) {
    return MetricOf(server_, name, model);
  }

  // Requests whose readers have left end soon.
  void WaitForEnd(const char* model) {
    const auto limit =
        std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (Metric("num_requests_running", model) +
               Metric("num_requests_waiting", model) >
           0) {
      ASSERT_LT(std::chrono::steady_clock::now(), limit);
      std::this_thread::yield();
    }
  }

  void AskMany(int thread, int count) {
    std::mt19937 random(thread);
    const auto one_of = [&](unsigned n) { return random() % n; };
    for (int i = 0; i < count; ++i) {
      const bool leaves = one_of(3) == 0;
      const bool kept = !leaves && one_of(2) == 0;
      ServeJson body = {
          {"model", kept ? "kept" : "toy"},
      };
      std::string text = "the model";
      for (unsigned more = one_of(20); more > 0; --more) text += " was";
      std::string_view path = kTextPath;
      const unsigned kind = one_of(8);
      if (kind == 0) {
        path = "/v1/score";
        body["prompt"] = text;
        body["choices"] = {"cat", "dog house"};
      } else if (kind < 4) {
        path = kChatPath;
        body["messages"] = {{{"role", "user"}, {"content", text}}};
      } else {
        body["prompt"] = text;
      }
      if (kind > 0) {
        body["seed"] = one_of(3);
        body["max_tokens"] = leaves ? 200 : 1 + 7 * one_of(3);
        if (one_of(2) == 0) {
          body["stream"] = true;
          body["stream_options"] = {{"include_usage", true}};
        }
      }
      HttpRequest request = PostRequest(path, body.dump());
      const std::string id = absl::StrCat(thread, "-", i);
      request.headers.emplace_back("X-Request-Id", id);
      Pending pending(server_, std::move(request));
      if (leaves) {
        ++num_left_;
        const unsigned events = one_of(4);
        for (unsigned seen = 0; seen < events; ++seen) {
          pending.exchange().Take();
          std::this_thread::sleep_for(std::chrono::microseconds(300));
        }
        continue;
      }
      const Reply reply = pending.Wait();
      ASSERT_EQ(reply.status, 200) << reply.body;
      EXPECT_EQ(reply.header("x-request-id"), id);
      Count(body, reply, kept);
    }
  }

  // Equal requests have equal answers, whatever ran beside them.
  void Count(ServeJson body, const Reply& reply, bool kept) {
    std::string text;
    ServeJson usage;
    if (reply.json.is_null()) {
      EXPECT_TRUE(reply.is_done);
      for (const ServeJson& event : reply.events) {
        if (!event["usage"].is_null()) usage = event["usage"];
        for (const ServeJson& choice : event["choices"]) {
          text += choice.contains("delta")
                      ? choice["delta"].value("content", "")
                      : choice.value("text", "");
        }
      }
    } else {
      usage = reply.json["usage"];
      const ServeJson& choice = reply.json["choices"][0];
      text = choice.contains("message")
                 ? choice["message"]["content"].get<std::string>()
             : choice.contains("text") ? choice["text"].get<std::string>()
                                       : choice["log_probability"].dump();
    }
    for (const char* name : {"model", "stream", "stream_options"}) {
      body.erase(name);
    }
    const std::lock_guard lock(mutex_);
    const auto [known, is_new] = texts_.emplace(body.dump(), text);
    EXPECT_EQ(known->second, text) << body;
    ++(kept ? num_kept_ : num_answered_);
    if (!kept) return;
    prompt_tokens_ += usage["prompt_tokens"].get<double>();
    cached_tokens_ +=
        usage["prompt_tokens_details"]["cached_tokens"].get<double>();
    new_tokens_ += usage["completion_tokens"].get<double>();
  }

  Server server_;
  std::atomic<int> num_left_ = 0;
  std::mutex mutex_;  // guards what follows
  std::map<std::string, std::string> texts_;
  int num_answered_ = 0, num_kept_ = 0;
  double prompt_tokens_ = 0, cached_tokens_ = 0, new_tokens_ = 0;
};

TEST(ServerSoak, AddsUp) { Soak().Run(NumRequests()); }

}  // namespace
}  // namespace gemma::internal
