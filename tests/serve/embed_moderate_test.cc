// /v1/embeddings and /v1/moderations: the numbers of Embedder and Classifier.

#include <bit>
#include <cstring>
#include <latch>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/classify/shield_toy.h"
#include "tests/serve/serve_client.h"
#include "tests/support/error_of.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

constexpr char kEmbedPath[] = "/v1/embeddings";
constexpr char kModeratePath[] = "/v1/moderations";

Model EmbeddingToy() {
  static const Model* model = new Model(LoadExact(ToyPath("embedding_gemma")));
  return *model;
}

TEST(EmbedRoute, GivesVectorsAsEmbedder) {
  Server server = ServerOf(EmbeddingToy());
  const auto embedder = Embedder::Create(EmbeddingToy());
  const std::vector<std::string> texts = {"the model", "us", ""};
  const auto wanted = embedder->Embed(texts);
  const Reply reply = Post(server, kEmbedPath,
                           {{"input", texts}, {"model", "toy"}, {"user", "u"}});
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.json["object"], "list");
  const size_t size = wanted->dimensions;
  size_t tokens = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    tokens += wanted->num_tokens[i];
    const ServeJson& data = reply.json["data"][i];
    EXPECT_EQ(data["index"], i);
    EXPECT_EQ(data["embedding"].get<std::vector<float>>(),
              std::vector<float>(wanted->values.begin() + i * size,
                                 wanted->values.begin() + (i + 1) * size));
  }
  EXPECT_EQ(reply.json["usage"]["prompt_tokens"], tokens);
  EXPECT_EQ(reply.json["usage"]["total_tokens"], tokens);
}

TEST(EmbedRoute, WritesBase64) {
  Server server = ServerOf(EmbeddingToy());
  const Reply floats =
      Post(server, kEmbedPath, {{"input", "us"}, {"dimensions", 4}});
  const Reply reply =
      Post(server, kEmbedPath,
           {{"input", "us"}, {"dimensions", 4}, {"encoding_format", "base64"}});
  std::string bytes;
  ASSERT_TRUE(absl::Base64Unescape(
      reply.json["data"][0]["embedding"].get<std::string>(), &bytes));
  ASSERT_EQ(bytes.size(), 4 * sizeof(float));
  std::vector<float> values(4);
  std::memcpy(values.data(), bytes.data(), bytes.size());
  EXPECT_EQ(floats.json["data"][0]["embedding"].get<std::vector<float>>(),
            values);
}

TEST(EmbedRoute, ReadsPromptsAndTokens) {
  const Model model = EmbeddingToy();
  Server server = ServerOf(model);
  const auto embedder = Embedder::Create(model);
  const auto vector_of = [&](const ServeJson& body) {
    const Reply reply = Post(server, kEmbedPath, body);
    EXPECT_EQ(reply.status, 200) << reply.body;
    return reply.json["data"][0]["embedding"].get<std::vector<float>>();
  };
  const std::vector<std::string> texts = {"the model"};
  EXPECT_EQ(vector_of({{"input", "the model"}, {"prompt", "query"}}),
            embedder->Embed(texts, {.prompt = "query"})->values);
  const std::vector<float> bare =
      embedder->Embed(texts, {.use_default_prompt = false})->values;
  std::vector<TokenId> tokens = *(*model.tokenizer())->Encode(texts[0]);
  EXPECT_EQ(vector_of({{"input", tokens}}), bare);
  tokens.insert(tokens.begin(), (*model.tokenizer())->bos());
  EXPECT_EQ(vector_of({{"input", ServeJson::array({tokens})}}), bare);
}

TEST(EmbedRoute, RefusesWhatChangesVectors) {
  Server server = ServerOf(EmbeddingToy());
  const auto error = [&](const ServeJson& body) {
    const Reply reply = Post(server, kEmbedPath, body);
    EXPECT_EQ(reply.status, 400) << reply.body;
    return reply.error();
  };
  EXPECT_THAT(error(ServeJson::object()), HasSubstr("input: 'input' is miss"));
  EXPECT_THAT(error({{"input", "a"}, {"dimensions", 100000}}),
              HasSubstr("dimensions: 'dimensions' is 100000, wanted 1 to "));
  EXPECT_THAT(error({{"input", "a"}, {"encoding_format", "int8"}}),
              HasSubstr("encoding_format: 'encoding_format' is 'int8'"));
  EXPECT_THAT(error({{"input", "a"}, {"prompt", "poem"}}),
              HasSubstr("prompt: "));
  EXPECT_THAT(error({{"input", "a"}, {"late_chunking", true}}),
              HasSubstr("late_chunking: "));
  EXPECT_THAT(error({{"input", {"a", 5}}}), HasSubstr("input"));
  EXPECT_THAT(error({{"input", {106, 106}}}), HasSubstr("not those of their"));
  // A text is cut only on request.
  const std::string text(9000, '?');
  const Reply cut = Post(server, kEmbedPath, {{"input", text}});
  EXPECT_EQ(cut.json["error"]["code"], "context_length_exceeded");
  EXPECT_THAT(cut.error(), HasSubstr("text 0 of 'input' has 9"));
  const Reply wanted =
      Post(server, kEmbedPath, {{"input", {"a", text}}, {"truncate", true}});
  EXPECT_EQ(wanted.status, 200) << wanted.body;
  EXPECT_EQ(wanted.json["truncated"], ServeJson::array({1}));
  // Other routes need other models.
  EXPECT_THAT(Post(server, kTextPath, {{"prompt", "a"}}).error(),
              HasSubstr("model: the model 'toy' does not continue texts"));
}

TEST(EmbedRoute, QueueIsBounded) {
  std::latch held(1), go(1);
  Server server =
      ServerOf(EmbeddingToy(), {.max_sequences = 1, .max_queued = 1});
  const ServeJson body = {{"input", "the us"}};
  // The engine's thread, which says that the response is there, waits.
  absl::StatusOr<Exchange> first =
      server.Handle(PostRequest(kEmbedPath, body.dump()), [&] {
        held.count_down();
        go.wait();
      });
  ASSERT_EQ(ErrorOf(first), "OK");
  held.wait();
  Pending second(server, PostRequest(kEmbedPath, body.dump()));
  Pending third(server, PostRequest(kEmbedPath, body.dump()));
  EXPECT_EQ(Post(server, kEmbedPath, body).status, 429);
  go.count_down();
  EXPECT_EQ(second.Wait().status, 200);
  EXPECT_EQ(third.Wait().status, 200);
  EXPECT_EQ(Post(server, kEmbedPath, {{"input", "a"}}).status, 200);
}

TEST(EmbedRoute, ServersEndTheirJobs) {
  std::vector<std::unique_ptr<Pending>> all;
  {
    Server server = ServerOf(EmbeddingToy());
    const ServeJson body = {{"input", std::vector<std::string>(500, "the us")}};
    for (int i = 0; i < 5; ++i) {
      all.push_back(std::make_unique<Pending>(
          server, PostRequest(kEmbedPath, body.dump())));
    }
    all[1]->exchange().Cancel();
  }
  for (const auto& pending : all) {
    const int status = pending->Wait().status;
    EXPECT_TRUE(status == 200 || status == 503) << status;
  }
}

TEST(ModerateRoute, ScoresAsClassifier) {
  const Model model = LoadShield();
  absl::StatusOr<Server> server = Server::Create();
  ASSERT_EQ(ErrorOf(server->Add({.name = "shield",
                                 .model = model,
                                 .options = {.max_tokens = 8192},
                                 .moderates = true})),
            "OK");
  server->Open();
  auto classifier = Classifier::Create(model);
  const std::vector<std::string> texts = {"the model", "us"};
  const Reply reply = Post(*server, kModeratePath, {{"input", texts}});
  ASSERT_EQ(reply.status, 200) << reply.body;
  ASSERT_EQ(reply.json["results"].size(), 2);
  for (size_t i = 0; i < 2; ++i) {
    const auto wanted =
        classifier->Classify({.text = texts[i]}, ShieldPolicies());
    ASSERT_EQ(ErrorOf(wanted), "OK");
    const ServeJson& result = reply.json["results"][i];
    bool flagged = false;
    for (size_t p = 0; p < wanted->size(); ++p) {
      const std::string& name = ShieldPolicies()[p].name;
      EXPECT_NEAR(result["category_scores"][name].get<double>(), (*wanted)[p],
                  1e-12);
      EXPECT_EQ(result["categories"][name], (*wanted)[p] > 0.5);
      flagged = flagged || (*wanted)[p] > 0.5;
    }
    EXPECT_EQ(result["flagged"], flagged);
  }
  // A text takes one place, however many policies judge it: 10 fit in 8 + 2.
  absl::StatusOr<Server> small = Server::Create();
  ASSERT_EQ(
      ErrorOf(small->Add({.name = "shield",
                          .model = model,
                          .options = {.max_tokens = 8192, .max_queued = 2},
                          .moderates = true})),
      "OK");
  small->Open();
  const Reply many = Post(*small, kModeratePath,
                          {{"input", std::vector<std::string>(10, "us")}});
  ASSERT_EQ(many.status, 200) << many.body;
  EXPECT_EQ(many.json["results"][9], reply.json["results"][1]);
  EXPECT_EQ(Post(*small, kModeratePath,
                 {{"input", std::vector<std::string>(11, "us")}})
                .status,
            400);
  // The response to a prompt is judged by other rules.
  const auto wanted = classifier->Classify(
      {.text = texts[0], .response = texts[1]}, ShieldPolicies());
  const Reply response =
      Post(*server, kModeratePath,
           {{"input", {{{"type", "text"}, {"text", texts[0]}}}},
            {"response", texts[1]}});
  EXPECT_NEAR(
      response.json["results"][0]["category_scores"]["hate"].get<double>(),
      (*wanted)[2], 1e-12);
  EXPECT_EQ(ShieldPolicies()[2].name, "hate");
  const Reply image = Post(
      *server, kModeratePath,
      {{"input", {{{"type", "image_url"}, {"image_url", {{"url", "a"}}}}}}});
  EXPECT_THAT(image.error(), HasSubstr("input[0].image_url: "));
  EXPECT_EQ(Get(*server, "/v1/models").json["data"][0]["moderates"], true);
  EXPECT_THAT(Post(*server, kModeratePath,
                   {{"input", std::vector<std::string>(65, "a")}})
                  .error(),
              HasSubstr("input: 'input' has 65 texts, wanted 1 to 64"));
  EXPECT_EQ(Post(*server, kModeratePath, {{"input", std::string(9000, '?')}})
                .json["error"]["code"],
            "context_length_exceeded");
}

}  // namespace
}  // namespace gemma::internal
