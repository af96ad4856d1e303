// Exchanges: bounded queues, readers that are slow or gone, deadlines.

#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/serve/admission.h"
#include "src/serve/answer/generation.h"
#include "src/serve/api_error.h"
#include "src/serve/exchange_state.h"
#include "tests/serve/serve_client.h"
#include "tests/support/error_of.h"
#include "tests/support/without_hanging.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

// Biases by which the toy never ends by itself.
ServeJson NeverStops() {
  ServeJson biases;
  for (const TokenId token : Gemma3Toy().config().stop_tokens) {
    biases[absl::StrCat(token)] = -1e9;
  }
  return biases;
}

// A stream that goes on for thousands of tokens unless something ends it.
HttpRequest LongRequest(std::string client = "") {
  const ServeJson body = {{"prompt", "the"},
                          {"stream", true},
                          {"seed", 1},
                          {"max_tokens", 100000},
                          {"logit_bias", NeverStops()}};
  HttpRequest request = PostRequest(kTextPath, body.dump());
  request.client = std::move(client);
  return request;
}

bool HasText(const Reply& reply) { return !reply.body.empty(); }

TEST(Exchanges, FullQueuesRefuse) {
  Server server = ServerOf(Gemma3Toy(), {.max_tokens = 20000,
                                         .max_sequences = 1,
                                         .max_queued = 2,
                                         .max_queued_per_client = 1});
  Pending running(server, LongRequest("a"));
  running.Until(HasText);
  Pending second(server, LongRequest("a"));
  const Reply of_client = Pending(server, LongRequest("a")).Wait();
  EXPECT_EQ(of_client.status, 429);
  EXPECT_THAT(of_client.error(), HasSubstr("of this client"));
  Pending third(server, LongRequest("b"));
  const Reply full = Pending(server, LongRequest("c")).Wait();
  EXPECT_EQ(full.status, 429);
  EXPECT_EQ(full.json["error"]["type"], "rate_limit_error");
  EXPECT_EQ(full.json["error"]["code"], "queue_full");
  int seconds = 0;
  EXPECT_TRUE(absl::SimpleAtoi(full.header("retry-after"), &seconds));
  EXPECT_GE(seconds, 1);
  // Health and models answer meanwhile, and room returns.
  EXPECT_EQ(Get(server, "/health").status, 200);
  third.exchange().Cancel();
  third.Wait();
  Pending fourth(server, LongRequest("c"));
  running.exchange().Cancel();
  second.exchange().Cancel();
  fourth.Until(HasText);
}

TEST(Exchanges, WrongRequestsLeave) {
  Server server = ServerOf(Gemma3Toy(), {.max_sequences = 1, .max_queued = 1});
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(
        Post(server, kTextPath, {{"prompt", "a"}, {"suffix", "b"}}).status,
        400);
    EXPECT_EQ(
        Post(server, kTextPath, {{"prompt", std::string(9000, '?')}, {"n", 2}})
            .status,
        400);
  }
  EXPECT_EQ(Post(server, kTextPath, {{"prompt", "a"}, {"n", 2}}).status, 200);
  const Reply large = Post(server, kTextPath, {{"prompt", "a"}, {"n", 3}});
  EXPECT_EQ(large.status, 400);
  EXPECT_THAT(large.error(), HasSubstr("asks for 3 answers"));
}

// By the mean time of a choice: 1 and 4 seconds, of which the newer counts a
// fifth, is 1.6.
TEST(AdmissionTest, RetryFollowsTheSpeed) {
  Admission admission(
      {.max_sequences = 2, .max_queued = 9, .max_queued_per_client = 9}, 1000);
  size_t retry = 0;
  auto first = admission.Enter("a", 11, 0, &retry);
  ASSERT_EQ(ErrorOf(first), "OK");
  EXPECT_EQ(HttpStatusOf(admission.Enter("b", 1, 0, &retry).status()), 429);
  EXPECT_EQ(retry, 1);
  admission.Took(1);
  admission.Took(4);
  EXPECT_EQ(HttpStatusOf(admission.Enter("b", 1, 0, &retry).status()), 429);
  EXPECT_EQ(retry, 8);  // 1.6 s * 10 / 2
  first->LeaveOne();
  auto second = admission.Enter("b", 1, 700, &retry);
  EXPECT_EQ(ErrorOf(second), "OK");
  first = Admission::Place();
  EXPECT_THAT(ErrorOf(admission.Enter("b", 1, 301, &retry)),
              HasSubstr("requests of 700 bytes"));
  second = Admission::Place();
  EXPECT_EQ(ErrorOf(admission.Enter("b", 11, 2000, &retry)), "OK");
}

TEST(Exchanges, LeavingReadersEndRequests) {
  Server server = ServerOf(
      Gemma3Toy(), {.max_tokens = 20000, .max_sequences = 1, .max_queued = 1});
  WithoutHanging([&] {
    for (int i = 0; i < 3; ++i) {
      // One runs and one waits; both readers leave.
      Pending running(server, LongRequest());
      running.Until(HasText);
      Pending waiting(server, LongRequest());
    }
    // The last ones end within a pass.
    for (;;) {
      const Reply reply =
          Post(server, kTextPath, {{"prompt", "a"}, {"max_tokens", 1}});
      if (reply.status == 200) break;
      EXPECT_EQ(reply.status, 429);
    }
  });
}

TEST(Exchanges, SlowReadersLoseOwn) {
  Server server =
      ServerOf(Gemma3Toy(), {.max_tokens = 20000}, {.max_stream_bytes = 20000});
  absl::StatusOr<Exchange> slow = server.Handle(LongRequest());
  ASSERT_EQ(ErrorOf(slow), "OK");
  // Each has a token in each pass: 500 events are more than 20000 bytes.
  const Reply other = Post(
      server, kTextPath,
      {{"prompt", "the"}, {"max_tokens", 500}, {"logit_bias", NeverStops()}});
  EXPECT_EQ(other.json["usage"]["completion_tokens"], 500) << other.body;
  const Exchange::Output output = slow->Take();
  EXPECT_TRUE(output.ended);
  EXPECT_LT(output.body.size(), 21000);
  EXPECT_THAT(output.body, HasSubstr(R"("code":"slow_reader")"));
}

TEST(Exchanges, DeadlinesEndAnswers) {
  Server server =
      ServerOf(Gemma3Toy(), {.max_tokens = 20000}, {.max_seconds = 3600});
  const Reply reply = Post(server, kTextPath,
                           {{"prompt", "the"},
                            {"max_tokens", 100000},
                            {"timeout", 0.05},
                            {"logit_bias", NeverStops()}});
  EXPECT_EQ(reply.json["choices"][0]["finish_reason"], "length") << reply.body;
  EXPECT_EQ(reply.json["choices"][0]["stop_reason"], "deadline");
  Server hasty =
      ServerOf(Gemma3Toy(), {.max_tokens = 20000}, {.max_seconds = 0.05});
  const Reply limited = Post(hasty, kTextPath,
                             {{"prompt", "the"},
                              {"max_tokens", 100000},
                              {"timeout", 1000},
                              {"logit_bias", NeverStops()}});
  EXPECT_EQ(limited.json["choices"][0]["stop_reason"], "deadline");
}

TEST(Exchanges, PingsAreComments) {
  Server server = ServerOf(Gemma3Toy(), {.max_tokens = 20000});
  Pending pending(server, LongRequest());
  pending.Until(HasText);
  pending.Until([&](const Reply& so_far) {
    pending.exchange().Ping();
    return so_far.body.find("\n\n: ping\n\n") != std::string::npos;
  });
  // A response that is not streamed stays as it is.
  absl::StatusOr<Exchange> health = server.Handle(GetRequest("/health"));
  health->Ping();
  EXPECT_EQ(health->Take().body, R"({"status":"ok"})");
}

TEST(Exchanges, ServersEndTheirRequests) {
  std::unique_ptr<Pending> running, waiting;
  {
    Server server =
        ServerOf(Gemma3Toy(), {.max_tokens = 20000, .max_sequences = 1});
    running = std::make_unique<Pending>(server, LongRequest());
    running->Until(HasText);
    waiting = std::make_unique<Pending>(server, LongRequest());
  }
  const Reply reply = running->Wait();
  EXPECT_EQ(reply.events.back()["error"]["code"], "stopped");
  EXPECT_FALSE(reply.is_done);
  EXPECT_EQ(waiting->Wait().events.back()["error"]["code"], "stopped");
}

// Writes nothing: memory runs out at the end of its first choice.
class FailingWriter : public AnswerWriter {
 public:
  using AnswerWriter::AnswerWriter;
  void Begin() override {}
  void Token(size_t /*choice*/, const ScoredToken& /*token*/) override {}
  void Text(size_t /*choice*/, std::string_view /*text*/) override {}
  void End(size_t /*choice*/, StopReason /*reason*/,
           absl::Span<const ToolCall> /*calls*/) override {
    throw std::bad_alloc();
  }
  void Finish(const Usage& /*usage*/) override {}
};

TEST(Exchanges, ThrowingWritersEndResponses) {
  auto served =
      Served::Create({"toy", Gemma3Toy(), {}}, {}, *MemoryBudget::Create());
  ASSERT_EQ(ErrorOf(served), "OK");
  std::latch ready(1);
  const auto out =
      std::make_shared<Exchange::State>([&] { ready.count_down(); }, 1000);
  size_t retry = 0;
  Asked asked;
  asked.place = *(*served)->admission.Enter("", 2, 0, &retry);
  asked.prompts = {{2, 300}, {2, 310}};
  asked.fields.options.max_new_tokens = 1;
  EXPECT_EQ(
      ErrorOf(Generation::Start(
          *served, std::move(asked), out,
          std::make_unique<FailingWriter>(ResponseHead(), out), "prompt")),
      "OK");
  WithoutHanging([&] { ready.wait(); });
  const Exchange::Output output = out->Take();
  EXPECT_TRUE(output.ended);
  EXPECT_EQ(output.head.status, 503);
  EXPECT_THAT(output.body, HasSubstr("out of memory"));
  (*served)->Stop();
}

// A client may never have more than this, so it need not try again.
TEST(AdmissionTest, RefusesWhatNeverFits) {
  Admission admission(
      {.max_sequences = 2, .max_queued = 9, .max_queued_per_client = 3}, 1000);
  size_t retry = 0;
  EXPECT_EQ(HttpStatusOf(admission.Enter("a", 6, 0, &retry).status()), 400);
  EXPECT_EQ(retry, 0);
  EXPECT_EQ(ErrorOf(admission.Enter("a", 5, 0, &retry)), "OK");
}

// After the destructor, on_ready is not called; before it, at least once for
// all that comes.
TEST(Exchanges, EndTheirWakeUps) {
  Server server = ServerOf(Gemma3Toy(), {.max_tokens = 20000});
  for (int i = 0; i < 6; ++i) {
    auto alive = std::make_unique<std::atomic<bool>>(true);
    std::atomic<int> calls = 0;
    {
      absl::StatusOr<Exchange> exchange =
          server.Handle(LongRequest(), [&, flag = alive.get()] {
            EXPECT_TRUE(flag->load());
            ++calls;
          });
      ASSERT_EQ(ErrorOf(exchange), "OK");
      while (calls.load() < i % 3 + 1) {
        exchange->Take();
        std::this_thread::yield();
      }
    }
    alive->store(false);
  }
}

// Until the release, an error replaces the events of a stream.
TEST(ExchangeState, HeldStreamsMayFail) {
  int calls = 0;
  Exchange::State held([&] { ++calls; }, 1000);
  held.AddHeader("x-request-id", "1");
  held.BeginStream();
  held.Event("{}");
  EXPECT_EQ(calls, 0);
  EXPECT_FALSE(held.Take().has_head);
  held.Fail(ApiError(429, "queue_full", "full"));
  EXPECT_EQ(calls, 1);
  const Exchange::Output output = held.Take();
  EXPECT_EQ(output.head.status, 429);
  EXPECT_EQ(output.head.headers.size(), 2);
  EXPECT_EQ(output.body,
            R"({"error":{"message":"full","type":"rate_limit_error",)"
            R"("param":null,"code":"queue_full"}})");
  EXPECT_TRUE(output.ended);

  Exchange::State released([] {}, 1000);
  released.BeginStream();
  released.Release();
  released.Event("1");
  released.Fail(absl::InternalError("lost"));
  released.Event("2");
  const Exchange::Output stream = released.Take();
  EXPECT_EQ(stream.head.status, 200);
  EXPECT_TRUE(stream.head.is_stream);
  EXPECT_EQ(stream.body,
            "data: 1\n\ndata: {\"error\":{\"message\":\"lost\",\"type\":"
            "\"server_error\",\"param\":null,\"code\":null}}\n\n");
}

}  // namespace
}  // namespace gemma::internal
