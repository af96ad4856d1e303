// Server: its routes, what it refuses before a route, and tokens.

#include "gemma/serve.h"

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/serve/serve_client.h"
#include "tests/support/error_of.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(Server, ReadyWhileOpen) {
  absl::StatusOr<Server> server = Server::Create();
  EXPECT_EQ(Get(*server, "/health").status, 200);
  EXPECT_EQ(Get(*server, "/ready").status, 503);
  ASSERT_EQ(ErrorOf(server->Add({"toy", Gemma3Toy(), {}})), "OK");
  const ServeJson body = {{"prompt", "the"}, {"max_tokens", 1}};
  EXPECT_EQ(Post(*server, "/v1/completions", body).status, 503);
  EXPECT_EQ(Get(*server, "/tokenizer_info").status, 503);
  server->Open();
  EXPECT_EQ(Get(*server, "/ready").status, 200);
  EXPECT_EQ(Post(*server, "/v1/completions", body).status, 200);
  server->Drain();
  EXPECT_EQ(Get(*server, "/ready").status, 503);
  EXPECT_EQ(Post(*server, "/v1/completions", body).status, 503);
  EXPECT_EQ(Get(*server, "/health").status, 200);
}

TEST(Server, ListsItsModels) {
  Server server = ServerOf(Gemma3Toy(), {.max_tokens = 300});
  EXPECT_THAT(ErrorOf(server.Add({"toy", Gemma3Toy(), {}})),
              HasSubstr("'toy' already"));
  ASSERT_EQ(ErrorOf(server.Add({"a/b:c", Gemma4Toy(), {}})), "OK");
  const Reply list = Get(server, "/v1/models?limit=1");
  EXPECT_EQ(list.status, 200);
  EXPECT_EQ(list.json["object"], "list");
  ASSERT_EQ(list.json["data"].size(), 2);
  EXPECT_EQ(list.json["data"][0]["id"], "toy");
  EXPECT_EQ(list.json["data"][0]["object"], "model");
  EXPECT_EQ(list.json["data"][0]["max_model_len"], 300);
  EXPECT_EQ(list.json["data"][0]["instruction_tuned"], true);
  EXPECT_EQ(list.json["data"][0]["thinks"], false);
  EXPECT_EQ(list.json["data"][1]["thinks"], true);
  EXPECT_EQ(list.json["data"][0]["sampling"]["temperature"], 1.0);
  EXPECT_EQ(list.json["data"][0]["sampling"]["top_k"], 64);
  EXPECT_EQ(Get(server, "/v1/models/a/b:c").json, list.json["data"][1]);
  EXPECT_EQ(Get(server, "/v1/models/a%2Fb%3ac").json, list.json["data"][1]);
  EXPECT_EQ(Get(server, "/tokenizer_info?x=1&model=a%2Fb:c").json["model"],
            "a/b:c");
  EXPECT_THAT(Get(server, "/tokenizer_info").error(),
              HasSubstr("'model' is missing, wanted one of 'toy', 'a/b:c'"));
  const Reply unknown = Get(server, "/v1/models/b");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(unknown.json["error"]["code"], "model_not_found");
}

TEST(Server, FindsModelByName) {
  Server server = ServerOf(Gemma3Toy());
  ServeJson body = {{"prompt", "the"}, {"max_tokens", 1}};
  EXPECT_EQ(Post(server, "/v1/completions", body).json["model"], "toy");
  body["model"] = "gpt-4";
  const Reply other = Post(server, "/v1/completions", body);
  EXPECT_EQ(other.status, 404);
  EXPECT_EQ(other.error(),
            "model: the server has no model 'gpt-4', wanted one of 'toy'");
  ASSERT_EQ(ErrorOf(server.Add({"second", Gemma4Toy(), {}})), "OK");
  body.erase("model");
  const Reply missing = Post(server, "/v1/completions", body);
  EXPECT_EQ(missing.status, 400);
  EXPECT_EQ(missing.error(),
            "model: 'model' is missing, wanted one of 'toy', 'second'");
}

TEST(Server, FindsModelByRoute) {
  LoadOptions load;
  load.num_threads = kToyThreads;
  Server server = ServerOf(Gemma3Toy());
  const Model shield = LoadOrDie(
      std::string(GEMMA_TESTDATA_DIR) + "/classify/shield.gguf", load);
  const Model embedder = LoadOrDie(
      std::string(GEMMA_TESTDATA_DIR) + "/gguf/gemma_embedding.gguf", load);
  ASSERT_EQ(ErrorOf(server.Add({"guard", shield, {}, true})), "OK");
  ASSERT_EQ(ErrorOf(server.Add({"vectors", embedder})), "OK");
  // Each does what the others do not. An empty name is as good as none.
  const auto model = [&](std::string_view path, ServeJson body) {
    const Reply reply = Post(server, path, body);
    EXPECT_EQ(reply.status, 200) << reply.body;
    body["model"] = "";
    EXPECT_EQ(Post(server, path, body).status, 200);
    return reply.json["model"];
  };
  EXPECT_EQ(model(kTextPath, {{"prompt", "the"}, {"max_tokens", 1}}), "toy");
  EXPECT_EQ(model("/v1/moderations", {{"input", "the"}}), "guard");
  EXPECT_EQ(model("/v1/embeddings", {{"input", "the"}}), "vectors");
  // Tokens are those of the model that answers.
  EXPECT_EQ(Get(server, "/tokenizer_info").json["model"], "toy");
  EXPECT_EQ(Post(server, "/tokenize", {{"prompt", "the"}}).json["tokens"],
            Post(server, "/tokenize", {{"prompt", "the"}, {"model", "toy"}})
                .json["tokens"]);
  ASSERT_EQ(ErrorOf(server.Add({"other", Gemma3Toy(), {}})), "OK");
  EXPECT_THAT(Post(server, "/tokenize", {{"prompt", "the"}}).error(),
              HasSubstr("model: 'model' is missing, wanted one of"));
}

TEST(Server, LimitsMemoryOfAll) {
  const Model model = Gemma3Toy();
  const EngineOptions engine = {.max_tokens = 300, .max_sequences = 2};
  const uint64_t most =
      Engine::MemoryFor(model, engine).total() + engine.reuse_bytes / 64;
  Server server = ServerOf(model, engine, {.max_memory_bytes = most});
  const absl::Status second = server.Add({"second", model, engine});
  EXPECT_TRUE(absl::IsResourceExhausted(second)) << second;
  EXPECT_THAT(ErrorOf(second), StartsWith("the model 'second' does not fit"));
  const ServeJson body = {{"prompt", "the"}, {"max_tokens", 9}, {"n", 5}};
  EXPECT_EQ(Post(server, kTextPath, body).json["choices"].size(), 5);
  const std::string text =
      Pending(server, GetRequest("/metrics")).WaitForText().body;
  const auto value = [&](std::string_view name) {
    const size_t at = text.find(absl::StrCat("\ngemma:", name, " "));
    EXPECT_NE(at, std::string::npos) << name;
    return std::stod(text.substr(text.find(' ', at + 1)));
  };
  EXPECT_EQ(value("memory_max_bytes"), static_cast<double>(most));
  EXPECT_LE(value("memory_bytes"), static_cast<double>(most));
  EXPECT_GT(value("memory_bytes"),
            static_cast<double>(model.MemoryFor(SessionOptions()).weights));
  EXPECT_THAT(text, HasSubstr("gemma:scratch_bytes{model_name=\"toy\"}"));
}

TEST(Server, ModelsMayHaveBudgets) {
  const Model model = Gemma3Toy();
  const absl::StatusOr<MemoryBudget> budget = MemoryBudget::Create();
  ASSERT_EQ(ErrorOf(budget), "OK");
  EngineOptions options;
  options.budget = *budget;
  Server server = ServerOf(model, options);
  const uint64_t before = budget->bytes();
  EXPECT_GT(before, 0u);
  Post(server, kTextPath, {{"prompt", "the"}, {"max_tokens", 9}});
  EXPECT_GT(budget->bytes(), before);  // the caches, kept for reuse
  absl::StatusOr<Server> limited =
      Server::Create({.max_memory_bytes = uint64_t{1} << 30});
  ASSERT_EQ(ErrorOf(limited), "OK");
  EXPECT_EQ(ErrorOf(limited->Add({"toy", model, options})),
            "the model 'toy' has a budget, but "
            "max_memory_bytes is 1073741824, wanted 0");
}

TEST(Server, FailedModelsReturnMemory) {
  const Model model = Gemma3Toy();
  Server server = ServerOf(model);
  const auto memory = [&] {
    const std::string text =
        Pending(server, GetRequest("/metrics")).WaitForText().body;
    const size_t at = text.find("\ngemma:memory_bytes ");
    return text.substr(at + 1, text.find('\n', at + 1) - at - 1);
  };
  const std::string before = memory();
  EXPECT_THAT(ErrorOf(server.Add({"toy", model})), HasSubstr("'toy' already"));
  EXPECT_EQ(memory(), before);
  EXPECT_THAT(ErrorOf(server.Add({"second", model, {.max_sequences = 0}})),
              StartsWith("max_sequences is 0"));
  EXPECT_EQ(memory(), before);
  ASSERT_EQ(ErrorOf(server.Add({"second", model})), "OK");
  EXPECT_NE(memory(), before);
}

TEST(Server, RefusesUnknownRoutes) {
  Server server = ServerOf(Gemma3Toy());
  const Reply unknown = Get(server, "/v1/secrets");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(unknown.json["error"]["type"], "invalid_request_error");
  EXPECT_EQ(unknown.json["error"]["code"], "unknown_path");
  const Reply get = Get(server, kChatPath);
  EXPECT_EQ(get.status, 405);
  EXPECT_EQ(get.header("allow"), "POST");
  EXPECT_EQ(Post(server, "/health", {}).header("allow"), "GET");
}

// A web page can send other types to any server without asking it first.
TEST(Server, RefusesOtherContentTypes) {
  Server server = ServerOf(Gemma3Toy());
  for (const char* type : {"text/plain", "", "application/jsonx"}) {
    HttpRequest request = PostRequest(kChatPath, "{}");
    request.headers = {{"content-type", type}};
    EXPECT_EQ(Pending(server, request).Wait().status, 415) << type;
  }
  HttpRequest request = PostRequest(kChatPath, "{}");
  request.headers.clear();
  EXPECT_EQ(Pending(server, request).Wait().status, 415);
  request.headers = {{"CONTENT-TYPE", " Application/JSON ;x=y"}};
  EXPECT_EQ(Pending(server, request).Wait().status, 400);
}

TEST(Server, RefusesWrongJson) {
  Server server = ServerOf(Gemma3Toy(), {}, {.max_body_bytes = 1000});
  const auto reply = [&](std::string body) {
    return Pending(server, PostRequest(kChatPath, std::move(body))).Wait();
  };
  EXPECT_THAT(reply("{").error(), HasSubstr("is not JSON"));
  EXPECT_THAT(reply("").error(), HasSubstr("is not JSON"));
  EXPECT_THAT(reply("[1]").error(), HasSubstr("wanted an object"));
  EXPECT_THAT(reply(R"({"n": 1, "n": 2})").error(), HasSubstr("'n'"));
  EXPECT_THAT(reply(std::string(40, '[')).error(), HasSubstr("deep"));
  const Reply large = reply(std::string(1001, ' '));
  EXPECT_EQ(large.status, 413);
  EXPECT_EQ(large.json["error"]["code"], "body_too_large");
}

// The most values of a request: the object, a name, an array and its numbers.
TEST(Server, BoundsValuesOfJson) {
  Server server = ServerOf(Gemma3Toy());
  std::vector<TokenId> tokens((1 << 18) - 3, 300);
  const Reply most = Post(server, "/detokenize", {{"tokens", tokens}});
  ASSERT_EQ(most.status, 200) << most.body;
  const Tokenizer& tokenizer = **Gemma3Toy().tokenizer();
  EXPECT_EQ(most.json["prompt"], tokenizer.Decode(tokens));
  tokens.push_back(300);
  const Reply more = Post(server, "/detokenize", {{"tokens", tokens}});
  EXPECT_EQ(more.status, 400);
  EXPECT_THAT(more.error(), HasSubstr("more than 262144 values"));
}

TEST(Server, RepeatsRequestIds) {
  Server server = ServerOf(Gemma3Toy());
  HttpRequest request = GetRequest("/health");
  const std::string made =
      Pending(server, request).Wait().header("x-request-id");
  EXPECT_THAT(made, StartsWith("req-"));
  EXPECT_NE(Pending(server, request).Wait().header("x-request-id"), made);
  request.headers = {{"X-Request-ID", "client-7"}};
  EXPECT_EQ(Pending(server, request).Wait().header("x-request-id"), "client-7");
  // An id that could end a header or a line of a log is replaced.
  request.headers = {{"x-request-id", "a\r\nset-cookie: b"}};
  EXPECT_THAT(Pending(server, request).Wait().header("x-request-id"),
              StartsWith("req-"));
}

TEST(Server, TokenizesAsTheTokenizer) {
  const Model model = Gemma3Toy();
  Server server = ServerOf(model);
  const Tokenizer& tokenizer = **model.tokenizer();
  const std::string text = "the model <end_of_turn> \u00e9";
  const std::vector<TokenId> plain = *tokenizer.Encode(text);
  const auto tokens = [&](ServeJson body) {
    const Reply reply = Post(server, "/tokenize", body);
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(reply.json["count"], reply.json["tokens"].size());
    EXPECT_EQ(reply.json["max_model_len"], 4096);
    return reply.json["tokens"].get<std::vector<TokenId>>();
  };
  EXPECT_EQ(tokens({{"prompt", text}, {"add_special_tokens", false}}), plain);
  std::vector<TokenId> with_bos = plain;
  with_bos.insert(with_bos.begin(), tokenizer.bos());
  EXPECT_EQ(tokens({{"content", text}}), with_bos);
  EXPECT_EQ(tokens({{"prompt", text},
                    {"parse_control", true},
                    {"add_special_tokens", false}}),
            *tokenizer.Encode(text, ControlTokens::kParse));
  EXPECT_EQ(tokens({{"messages", {{{"role", "user"}, {"content", text}}}}}),
            *model.chat_template()->UserTurn(text));
  const Reply back = Post(server, "/detokenize", {{"tokens", plain}});
  EXPECT_EQ(back.json["prompt"], tokenizer.Decode(plain));
  // Control tokens keep their names, and bytes that belong together their sign.
  const std::vector<TokenId> marked = {
      tokenizer.bos(), *tokenizer.Find("<0xE2>"), *tokenizer.Find("<0x82>"),
      *tokenizer.Find("<0xAC>"), *tokenizer.Find("<end_of_turn>")};
  const Reply named = Post(server, "/detokenize", {{"tokens", marked}});
  EXPECT_EQ(named.json["prompt"], "<bos>€<end_of_turn>");
  EXPECT_EQ(named.json["content"], named.json["prompt"]);
  EXPECT_EQ(tokens({{"content", text}, {"add_special", false}}), plain);
  const ServeJson ask = {{{"role", "user"}, {"content", text}}};
  EXPECT_EQ(tokens({{"messages", ask}, {"add_generation_prompt", true}}),
            *model.chat_template()->UserTurn(text));
  const Reply pieces = Post(server, "/tokenize",
                            {{"prompt", "the"}, {"return_token_strs", true}});
  EXPECT_EQ(pieces.json["token_strs"][0], "<bos>");
}

TEST(Server, RefusesWrongTokens) {
  Server server = ServerOf(Gemma3Toy());
  EXPECT_EQ(Post(server, "/tokenize", ServeJson::object()).error(),
            ": the request has 0 of 'prompt', 'content' and 'messages', wanted "
            "one of them");
  EXPECT_THAT(Post(server, "/detokenize", {{"tokens", {1, 99999}}}).error(),
              StartsWith("tokens: token 1 of tokens is 99999"));
  EXPECT_THAT(Post(server, "/tokenize", {{"prompt", "a"}, {"b", 1}}).error(),
              StartsWith("b: 'b' is not a field"));
  const ServeJson ask = {{{"role", "user"}, {"content", "a"}}};
  EXPECT_THAT(Post(server, "/tokenize",
                   {{"messages", ask}, {"add_generation_prompt", false}})
                  .error(),
              StartsWith("add_generation_prompt: "));
  // An error of the whole body has no place.
  const Reply array = Post(server, "/tokenize", ServeJson::array());
  EXPECT_TRUE(array.json["error"]["param"].is_null()) << array.body;
}

TEST(Server, DescribesTheTokenizer) {
  Server server = ServerOf(Gemma3Toy());
  const ServeJson info = Get(server, "/tokenizer_info").json;
  EXPECT_EQ(info["bos_token"], "<bos>");
  EXPECT_EQ(info["eos_token"], "<eos>");
  EXPECT_EQ(info["eos_token_id"], 1);
  EXPECT_EQ(info["chat"], true);
}

}  // namespace
}  // namespace gemma::internal
