// /v1/features and the field steer.

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/serve/serve_client.h"
#include "tests/support/error_of.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

constexpr char kFeaturesPath[] = "/v1/features";

SparseAutoencoder ToyAutoencoder(size_t layer = 1) {
  SparseAutoencoderOptions options;
  options.weights = FeatureWeights::kFloat32;
  options.site =
      FeatureSite{TapPoint::kBlockOutput, TapPoint::kBlockOutput, layer};
  auto autoencoder = SparseAutoencoder::Load(
      std::string(GEMMA_TESTDATA_DIR) +
          "/scope/gemma-scope-mixed-pt-res/layer_1/width_16/average_l0_4",
      options);
  EXPECT_EQ(ErrorOf(autoencoder), "OK");
  return *std::move(autoencoder);
}

// A server whose model has two autoencoders.
Server ScopedServer(const EngineOptions& engine = {},
                    const ServerOptions& options = {}) {
  absl::StatusOr<Server> server = Server::Create(options);
  EXPECT_EQ(
      ErrorOf(server->Add({.name = "toy",
                           .model = Gemma3Toy(),
                           .options = engine,
                           .autoencoders = {{"late", ToyAutoencoder()},
                                            {"early", ToyAutoencoder(0)}}})),
      "OK");
  server->Open();
  return *std::move(server);
}

// What the library finds in the tokens.
ServeJson FeaturesOf(const std::vector<TokenId>& tokens, size_t top_k,
                     std::vector<FeatureChange> changes = {}) {
  const Model model = Gemma3Toy();
  const SparseAutoencoder late = ToyAutoencoder();
  Session session = NewSession(model, {.max_tokens = 4096});
  ServeJson found = ServeJson::array();
  for (size_t i = 0; i < tokens.size(); ++i) {
    found.push_back(ServeJson::array());
  }
  auto tap = FeatureTap(
      model, {.readers = {{&late, top_k}},
              .changes = std::move(changes),
              .on_features = [&](const TokenFeatures& of) {
                for (const Feature& feature : of.features) {
                  found[of.position].push_back(
                      {{"index", feature.index}, {"value", feature.value}});
                }
              }});
  EXPECT_EQ(ErrorOf(tap), "OK");
  session.SetTap(*std::move(tap));
  EXPECT_EQ(ErrorOf(session.Append(tokens)), "OK");
  return found;
}

TEST(FeatureRoute, EqualsFeaturesOfSessions) {
  const Model model = Gemma3Toy();
  Server server = ScopedServer();
  const std::vector<TokenId> chat = *model.chat_template()->UserTurn("the cat");
  const auto features = [&](ServeJson body, size_t tokens) {
    body["autoencoders"] = {"late"};
    const Reply reply = Post(server, kFeaturesPath, body);
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(reply.json["usage"]["prompt_tokens"], tokens);
    EXPECT_EQ(reply.json["autoencoders"][0]["name"], "late");
    ServeJson found = ServeJson::array();
    for (const ServeJson& token : reply.json["tokens"]) {
      EXPECT_EQ(token["features"].size(), 1);
      ServeJson& of_token = found.emplace_back(ServeJson::array());
      for (const ServeJson& feature : token["features"][0]) {
        of_token.push_back({{"index", feature["index"]},
                            {"value", feature["value"].get<float>()}});
      }
    }
    return found;
  };
  EXPECT_EQ(
      features({{"messages", {{{"role", "user"}, {"content", "the cat"}}}},
                {"top_k", 0}},
               chat.size()),
      FeaturesOf(chat, 0));
  EXPECT_EQ(features({{"input", chat}}, chat.size()), FeaturesOf(chat, 10));
  EXPECT_EQ(features({{"input", chat}, {"top_k", 2}}, chat.size()),
            FeaturesOf(chat, 2));
  const SparseAutoencoder early = ToyAutoencoder(0);
  const ServeJson change = {
      {"autoencoder", "early"}, {"feature", 3}, {"strength", 40}};
  EXPECT_EQ(features({{"input", chat}, {"steer", {change}}}, chat.size()),
            FeaturesOf(chat, 10, {{&early, 3, 40}}));
}

TEST(FeatureRoute, OnlyNamedFeatures) {
  Server server = ScopedServer();
  const ServeJson body = {{"input", {2, 300, 310, 320}}, {"top_k", 0}};
  const ServeJson all = Post(server, kFeaturesPath, body).json;
  ServeJson some = body;
  some["features"] = {3, 5, 8};
  const Reply reply = Post(server, kFeaturesPath, some);
  ASSERT_EQ(reply.status, 200) << reply.body;
  for (size_t i = 0; i < 4; ++i) {
    for (size_t reader = 0; reader < 2; ++reader) {
      ServeJson wanted = ServeJson::array();
      for (const ServeJson& feature : all["tokens"][i]["features"][reader]) {
        const size_t index = feature["index"];
        if (index == 3 || index == 5 || index == 8) wanted.push_back(feature);
      }
      const ServeJson& found = reply.json["tokens"][i]["features"][reader];
      ASSERT_EQ(found.size(), wanted.size());
      for (size_t k = 0; k < wanted.size(); ++k) {
        EXPECT_EQ(found[k]["index"], wanted[k]["index"]);
        EXPECT_NEAR(found[k]["value"].get<float>(),
                    wanted[k]["value"].get<float>(), 1e-3);
      }
    }
  }
}

TEST(FeatureRoute, RefusesWrongFields) {
  Server server = ScopedServer({.max_tokens = 8});
  const auto error = [&](ServeJson body) {
    if (!body.contains("messages")) body["input"] = "the";
    const Reply reply = Post(server, kFeaturesPath, body);
    EXPECT_EQ(reply.status, 400) << reply.body;
    return reply.error();
  };
  EXPECT_EQ(error({{"autoencoders", {"late", "other"}}}),
            "autoencoders[1]: 'autoencoders[1]' is 'other', wanted one of "
            "'late', 'early'");
  EXPECT_THAT(error({{"autoencoders", {"late", "late"}}}),
              HasSubstr("autoencoders[1]: 'autoencoders[1]' is named twice"));
  EXPECT_THAT(error({{"autoencoders", ServeJson::array()}}),
              HasSubstr("'autoencoders' is empty, wanted one name or more"));
  EXPECT_THAT(error({{"features", {1, 16}}}),
              HasSubstr("features: 'features' has 16, and the features of "
                        "'late' are 0 to 15"));
  EXPECT_THAT(error({{"features", ServeJson::array()}}),
              HasSubstr("wanted 1 to 1024"));
  EXPECT_THAT(error({{"top_k", -1}}), HasSubstr("top_k: "));
  EXPECT_THAT(error({{"max_tokens", 3}}), HasSubstr("max_tokens: "));
  EXPECT_THAT(error({{"messages", {{{"role", "user"}, {"content", "a"}}}},
                     {"input", "a"}}),
              HasSubstr("needs one of 'input' and 'messages'"));
  const Reply several = Post(server, kFeaturesPath, {{"input", {"a", "b"}}});
  EXPECT_EQ(several.error(), "input: 'input' has several texts, wanted one");
  const Reply long_text =
      Post(server, kFeaturesPath, {{"input", std::vector<TokenId>(9, 300)}});
  EXPECT_EQ(long_text.status, 400);
  EXPECT_EQ(long_text.json["error"]["code"], "context_length_exceeded");
}

TEST(FeatureRoute, NeedsAutoencoders) {
  Server server = ServerOf(Gemma3Toy());
  const Reply reply = Post(server, kFeaturesPath, {{"input", "the"}});
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(reply.json["error"]["code"], "wrong_model");
  EXPECT_EQ(reply.error(),
            "model: the server has no autoencoders for the model 'toy'");
  const ServeJson change = {{"feature", 3}, {"strength", 4}};
  EXPECT_EQ(
      Post(server, kTextPath, {{"prompt", "the"}, {"steer", {change}}}).error(),
      "steer: 'steer' needs an autoencoder, which the server does not have for "
      "the model 'toy'");
  EXPECT_FALSE(
      Get(server, "/v1/models").json["data"][0].contains("autoencoders"));
}

TEST(FeatureRoute, BoundsItsResponse) {
  Server server = ScopedServer({}, {.max_response_bytes = 2000});
  const Reply reply =
      Post(server, kFeaturesPath,
           {{"input", std::vector<TokenId>(200, 300)}, {"top_k", 0}});
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(reply.json["error"]["code"], "response_too_large");
}

TEST(SteerField, ChangesOnlyItsRequest) {
  Server server = ScopedServer();
  const SparseAutoencoder early = ToyAutoencoder(0);
  const Model model = Gemma3Toy();
  ServeJson body = {{"prompt", {2, 300, 310, 320, 330}},
                    {"max_tokens", 12},
                    {"temperature", 0},
                    {"n", 2}};
  const auto text = [&] {
    const Reply reply = Post(server, kTextPath, body);
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(reply.json["choices"][0]["text"],
              reply.json["choices"][1]["text"]);
    return reply.json["choices"][0]["text"].get<std::string>();
  };
  const std::string plain = text();
  body["steer"] = {{{"autoencoder", "early"}, {"feature", 3}, {"strength", 60}},
                   {{"autoencoder", "late"}, {"feature", 2}, {"ablate", true}}};
  const std::string steered = text();
  EXPECT_NE(steered, plain);
  body.erase("steer");
  EXPECT_EQ(text(), plain);
  const SparseAutoencoder late = ToyAutoencoder();
  Session session = NewSession(model, {.max_tokens = 4096});
  auto tap = FeatureTap(
      model, {.changes = {{&early, 3, 60}, {&late, 2, 0, /*ablate=*/true}}});
  ASSERT_EQ(ErrorOf(tap), "OK");
  session.SetTap(*std::move(tap));
  GenerateOptions options;
  options.sampling.temperature = 0;
  options.max_new_tokens = 12;
  std::string wanted;
  ASSERT_EQ(ErrorOf(Generate(session, {2, 300, 310, 320, 330}, options,
                             [&](std::string_view part) {
                               wanted += part;
                               return true;
                             })),
            "OK");
  EXPECT_EQ(steered, wanted);
}

// Squares of larger activations overflow, and then all logits are 0.
TEST(SteerField, LimitsStrengths) {
  Server server = ScopedServer();
  const auto reply = [&](double strength) {
    const ServeJson change = {
        {"autoencoder", "late"}, {"feature", 3}, {"strength", strength}};
    return Post(
        server, kTextPath,
        {{"prompt", "the cat"}, {"max_tokens", 2}, {"steer", {change}}});
  };
  EXPECT_EQ(reply(1e15).status, 200);
  for (const double strength : {1e16, -1e20, 3e38, 1e300}) {
    EXPECT_EQ(reply(strength).status, 400) << strength;
    EXPECT_THAT(reply(strength).error(), HasSubstr("steer[0].strength: "))
        << strength;
  }
  EXPECT_THAT(reply(-1e20).error(),
              HasSubstr("is -1e+20, wanted -1e+15 to 1e+15"));
}

TEST(SteerField, NamesWhatIsWrong) {
  Server server = ScopedServer();
  const auto error = [&](const ServeJson& change) {
    const Reply reply =
        Post(server, kChatPath,
             {{"messages", {{{"role", "user"}, {"content", "a"}}}},
              {"steer", {change}}});
    EXPECT_EQ(reply.status, 400) << reply.body;
    return reply.error();
  };
  EXPECT_EQ(error({{"feature", 1}, {"strength", 2}}),
            "steer[0]: 'steer[0].autoencoder' is missing, wanted one of "
            "'late', 'early'");
  EXPECT_THAT(error({{"autoencoder", "x"}, {"feature", 1}, {"strength", 2}}),
              HasSubstr("steer[0].autoencoder: 'steer[0].autoencoder' is 'x'"));
  EXPECT_EQ(error({{"autoencoder", "late"}, {"feature", 16}, {"strength", 2}}),
            "steer[0].feature: 'steer[0].feature' is 16, wanted 0 to 15");
  EXPECT_EQ(error({{"autoencoder", "late"}, {"feature", 1}}),
            "steer[0].strength: 'steer[0].strength' is missing");
  EXPECT_THAT(
      error({{"autoencoder", "late"}, {"feature", 1}, {"strength", 1e300}}),
      HasSubstr("steer[0].strength"));
  EXPECT_THAT(error({{"autoencoder", "late"},
                     {"feature", 1},
                     {"strength", 1},
                     {"scale", 2}}),
              HasSubstr("steer[0].scale: 'steer[0].scale' is not a field"));
}

TEST(Server, ChecksItsAutoencoders) {
  const auto error = [](const Model& model,
                        std::vector<ServedAutoencoder> autoencoders) {
    absl::StatusOr<Server> server = Server::Create();
    return ErrorOf(server->Add({.name = "toy",
                                .model = model,
                                .autoencoders = std::move(autoencoders)}));
  };
  EXPECT_THAT(error(Gemma3Toy(), {{"a", ToyAutoencoder(2)}}),
              HasSubstr("the autoencoder 'a': the autoencoder reads"));
  EXPECT_THAT(
      error(Gemma3Toy(), {{"a", ToyAutoencoder()}, {"a", ToyAutoencoder(0)}}),
      HasSubstr("'a': two autoencoders have this name"));
  EXPECT_THAT(error(Gemma4Toy(), {{"a", ToyAutoencoder()}}),
              HasSubstr("columns"));
}

}  // namespace
}  // namespace gemma::internal
