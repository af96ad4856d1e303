// What may wait for a pass, and what may not.

#include <latch>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/serve/answer/gather.h"
#include "src/serve/background.h"
#include "tests/serve/serve_client.h"
#include "tests/support/error_of.h"
#include "tests/support/in_tap.h"
#include "tests/support/toy_models.h"
#include "tests/support/without_hanging.h"

namespace gemma::internal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A tap holds a pass of the model, and so all answers.
TEST(HeldPasses, HoldUpOnlyAnswers) {
  const Model model = Gemma3Toy();
  Server server = ServerOf(model);
  Session session = NewSession(model, {.max_tokens = 16});
  std::unique_ptr<Pending> answer, left;
  WithoutHanging([&] {
    InTap(session, [&] {
      const std::string body = R"({"prompt": "the", "max_tokens": 2})";
      answer = std::make_unique<Pending>(server, PostRequest(kTextPath, body));
      left = std::make_unique<Pending>(server, PostRequest(kTextPath, body));
      for (const char* path : {"/health", "/ready", "/v1/models"}) {
        EXPECT_EQ(Get(server, path).status, 200) << path;
      }
      const Reply metrics =
          Pending(server, GetRequest("/metrics")).WaitForText();
      EXPECT_EQ(metrics.status, 200);
      EXPECT_THAT(metrics.body, HasSubstr("gemma:num_requests_running"));
      const Reply tokens = Post(server, "/tokenize", {{"prompt", "the"}});
      EXPECT_EQ(tokens.json["count"], 4);
      EXPECT_EQ(Post(server, "/detokenize", {{"tokens", tokens.json["tokens"]}})
                    .json["prompt"],
                "<bos>the");
      EXPECT_EQ(Post(server, kTextPath, {{"prompt", 1}}).status, 400);
      left.reset();
    });
  });
  EXPECT_EQ(answer->Wait().status, 200);
}

// The engine goes on while a response is made of its answers.
TEST(Gathering, HoldsUpNoEngine) {
  const auto served =
      *Served::Create({"toy", Gemma3Toy(), {}}, {}, *MemoryBudget::Create());
  const ServerOptions options;
  const HttpRequest request;
  std::latch ended(1), released(1);
  const auto out =
      std::make_shared<Exchange::State>([&] { ended.count_down(); }, 1000);
  const Call call = {.request = request, .options = options, .out = out};
  size_t retry = 0;
  std::vector<Request> requests(2);
  for (Request& each : requests) {
    each.prompt = {2, 300};
    each.options.max_new_tokens = 1;
  }
  WithoutHanging([&] {
    EXPECT_EQ(ErrorOf(GatherAnswers(
                  served, call, 0, *served->admission.Enter("", 2, 0, &retry),
                  requests,
                  [&](absl::Span<const Completion> answers)
                      -> absl::StatusOr<std::string> {
                    released.wait();
                    return answers[1].text == answers[0].text ? "1" : "2";
                  },
                  "input")),
              "OK");
    const auto ticket = served->engine->Submit(requests[0]);
    EXPECT_EQ(ErrorOf(ticket->Wait()), "OK");
    EXPECT_FALSE(out->Take().has_head);
    released.count_down();
    ended.wait();
  });
  EXPECT_EQ(out->Take().head.status, 200);
  served->Stop();
}

TEST(Background, RunsAllInOrder) {
  std::vector<int> ran;
  {
    Background background;
    for (int i = 0; i < 3; ++i) {
      background.Run([&ran, i] { ran.push_back(i); });
    }
  }
  EXPECT_THAT(ran, ElementsAre(0, 1, 2));
}

}  // namespace
}  // namespace gemma::internal
