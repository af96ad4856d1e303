// A full queue refuses a request before it reads the prompt: the error of the
// prompt is not the answer.

#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/classify/shield_toy.h"
#include "tests/serve/serve_client.h"
#include "tests/serve/tool_toys.h"
#include "tests/support/error_of.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

// A request whose prompt cannot be encoded for the model.
struct WrongPrompt {
  const char* path;
  ServeJson body;
  const char* error;
};

// Fills the queue of a server that computes nothing meanwhile, with requests
// like the first one.
void ExpectRefusedUnread(ServedModel served, const char* path,
                         const ServeJson& body,
                         const std::vector<WrongPrompt>& wrong) {
  std::mutex held;  // by the test, so that the engine begins no pass
  served.name = "toy";
  served.options = {
      .max_sequences = 1, .max_queued = 1, .between_passes = [&held] {
        const std::lock_guard lock(held);
      }};
  absl::StatusOr<Server> server = Server::Create();
  ASSERT_EQ(ErrorOf(server), "OK");
  ASSERT_EQ(ErrorOf(server->Add(std::move(served))), "OK");
  server->Open();
  for (const WrongPrompt& one : wrong) {
    SCOPED_TRACE(one.path);
    Reply reply = Post(*server, one.path, one.body);
    EXPECT_EQ(reply.status, 400) << reply.body;
    EXPECT_THAT(reply.error(), HasSubstr(one.error));
    std::optional<Pending> first, second;
    {
      const std::lock_guard lock(held);
      first.emplace(*server, PostRequest(path, body.dump()));
      second.emplace(*server, PostRequest(path, body.dump()));
      reply = Post(*server, one.path, one.body);
      EXPECT_EQ(reply.status, 429) << reply.body;
      EXPECT_EQ(reply.json["error"]["code"], "queue_full");
      int seconds = 0;
      EXPECT_TRUE(absl::SimpleAtoi(reply.header("retry-after"), &seconds));
      EXPECT_GE(seconds, 1);
    }
    EXPECT_EQ(first->Wait().status, 200);
    EXPECT_EQ(second->Wait().status, 200);
  }
}

const char* const kReversedError = "is of the role 'model', wanted 'user'";

ServeJson Reversed() {
  return {{{"role", "assistant"}, {"content", "a"}},
          {{"role", "user"}, {"content", "b"}}};
}

TEST(FullQueues, ReadNoPrompts) {
  SparseAutoencoderOptions site;
  site.site = FeatureSite{TapPoint::kBlockOutput, TapPoint::kBlockOutput, 1};
  auto autoencoder = SparseAutoencoder::Load(
      std::string(GEMMA_TESTDATA_DIR) +
          "/scope/gemma-scope-mixed-pt-res/layer_1/width_16/average_l0_4",
      site);
  ASSERT_EQ(ErrorOf(autoencoder), "OK");
  ExpectRefusedUnread(
      {.model = Gemma3Toy(), .autoencoders = {{"late", *autoencoder}}},
      kTextPath, {{"prompt", "a"}, {"max_tokens", 1}},
      {{kTextPath,
        {{"prompt", ""}, {"add_special_tokens", false}},
        "prompt: 'prompt' has no tokens"},
       {kChatPath, {{"messages", Reversed()}}, kReversedError},
       {"/v1/score",
        {{"messages", Reversed()}, {"choices", {"b"}}},
        kReversedError},
       {"/v1/score",
        {{"prompt", "a"}, {"choices", {"b", ""}}},
        "choices: choice 1 is empty"},
       {"/v1/features", {{"messages", Reversed()}}, kReversedError},
       {"/infill", {{"input_prefix", "a"}}, "model: the vocabulary has no"}});
}

TEST(FullQueues, ReadNoTexts) {
  const char* const embed = "/v1/embeddings";
  ExpectRefusedUnread({.model = LoadExact(ToyPath("embedding_gemma"))}, embed,
                      {{"input", "a"}},
                      {{embed,
                        {{"input", {300, 0}}},
                        "input: 'input' has tokens that are not those"}});
  const char* const moderate = "/v1/moderations";
  ExpectRefusedUnread(
      {.model = LoadShield(), .moderates = true}, moderate, {{"input", "a"}},
      {{moderate, {{"input", std::string(9000, '?')}}, "input: "}});
}

}  // namespace
}  // namespace gemma::internal
