// /v1/completions: the answers are those of Generate, whole and as a stream.

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/serve/serve_client.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<TokenId> TextPromptOf(const Model& model, const std::string& text) {
  const Tokenizer& tokenizer = **model.tokenizer();
  std::vector<TokenId> tokens = *tokenizer.Encode(text);
  tokens.insert(tokens.begin(), tokenizer.bos());
  return tokens;
}

GenerateOptions Seeded(uint64_t seed, size_t max_tokens) {
  GenerateOptions options;
  options.max_new_tokens = max_tokens;
  options.sampling.seed = seed;
  return options;
}

TEST(TextRoute, AnswersEachPrompt) {
  const Model model = Gemma3Toy();
  Server server = ServerOf(model);
  const auto texts = [&](const ServeJson& prompt, size_t n = 1) {
    const Reply reply =
        Post(server, kTextPath,
             {{"prompt", prompt}, {"seed", 5}, {"n", n}, {"max_tokens", 5}});
    std::vector<std::string> all;
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(reply.json["object"], "text_completion");
    for (const ServeJson& choice : reply.json["choices"]) {
      EXPECT_EQ(choice["index"], all.size());
      all.push_back(choice["text"]);
    }
    return all;
  };
  const auto wanted = [&](const std::string& text, uint64_t seed = 5) {
    return AnswerOf(model, TextPromptOf(model, text), Seeded(seed, 5)).text;
  };
  EXPECT_THAT(texts("the model"), ElementsAre(wanted("the model")));
  EXPECT_THAT(texts({"the model", "us"}, 2),
              ElementsAre(wanted("the model"), wanted("the model", 6),
                          wanted("us"), wanted("us", 6)));
  const std::vector<TokenId> us = TextPromptOf(model, "us");
  EXPECT_THAT(texts(us), ElementsAre(wanted("us")));
  EXPECT_THAT(texts(ServeJson::array({us, us})),
              ElementsAre(wanted("us"), wanted("us")));
  EXPECT_THAT(texts(""), ElementsAre(wanted("")));
  // OpenAI's default.
  EXPECT_LE(Post(server, kTextPath, {{"prompt", "us"}, {"seed", 1}})
                .json["usage"]["completion_tokens"],
            16);
}

TEST(TextRoute, EchoesScoredPrompts) {
  const Model model = Gemma3Toy();
  Server server = ServerOf(model);
  const std::vector<TokenId> prompt = TextPromptOf(model, "the model \u00e9");
  const Reply reply = Post(server, kTextPath,
                           {{"prompt", prompt},
                            {"seed", 5},
                            {"echo", true},
                            {"logprobs", 1},
                            {"max_tokens", 2}});
  std::vector<double> wanted;
  GenerateOptions options = Seeded(5, 2);
  options.score_prompt = true;
  options.on_token = [&](const ScoredToken& token) {
    wanted.push_back(token.log_probability.value_or(1));
  };
  const Completion answer = AnswerOf(model, prompt, options);
  const ServeJson& choice = reply.json["choices"][0];
  EXPECT_EQ(choice["text"], "the model \u00e9" + answer.text);
  const ServeJson& logprobs = choice["logprobs"];
  ASSERT_EQ(logprobs["tokens"].size(), prompt.size() + 2) << reply.body;
  EXPECT_EQ(logprobs["tokens"][0], "<bos>");
  EXPECT_EQ(logprobs["token_logprobs"][0], nullptr);
  EXPECT_EQ(logprobs["top_logprobs"][0], nullptr);
  for (size_t i = 1; i < wanted.size(); ++i) {
    EXPECT_EQ(logprobs["token_logprobs"][i].get<double>(), wanted[i]);
    EXPECT_EQ(logprobs["top_logprobs"][i].size(), 1);
  }
  EXPECT_EQ(logprobs["text_offset"][1], 0);
  EXPECT_EQ(logprobs["text_offset"][prompt.size()], 11);
}

TEST(TextRoute, StreamsTheSameTexts) {
  Server server = ServerOf(Gemma3Toy());
  ServeJson body = {{"prompt", {"the", "us"}},
                    {"seed", 5},
                    {"logprobs", 0},
                    {"max_tokens", 6},
                    {"echo", true}};
  const ServeJson whole = Post(server, kTextPath, body).json;
  body["stream"] = true;
  const Reply reply = Post(server, kTextPath, body);
  EXPECT_TRUE(reply.is_done);
  std::vector<std::string> texts(2);
  std::vector<ServeJson> tokens(2, ServeJson::array()), ends(2);
  for (const ServeJson& event : reply.events) {
    const ServeJson& choice = event["choices"][0];
    const size_t index = choice["index"];
    texts[index] += choice["text"].get<std::string>();
    ends[index] = choice["finish_reason"];
    if (choice["logprobs"].is_null()) continue;
    for (const ServeJson& token : choice["logprobs"]["tokens"]) {
      tokens[index].push_back(token);
    }
  }
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(ServeJson(texts[i]), whole["choices"][i]["text"]);
    EXPECT_EQ(ends[i], whole["choices"][i]["finish_reason"]);
    EXPECT_EQ(tokens[i], whole["choices"][i]["logprobs"]["tokens"]);
    EXPECT_EQ(whole["choices"][i]["logprobs"]["top_logprobs"], nullptr);
  }
}

TEST(TextRoute, FillsGaps) {
  Server server = ServerOf(Gemma3Toy());
  const ServeJson body = {
      {"prompt", "the "}, {"suffix", " us"}, {"seed", 3}, {"max_tokens", 4}};
  const Reply refused = Post(server, kTextPath, body);
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.error(), HasSubstr("suffix: the vocabulary has no"));
  ServeJson empty = body;
  empty["suffix"] = "";
  EXPECT_EQ(Post(server, kTextPath, empty).status, 200);
  LoadOptions load;
  load.num_threads = kToyThreads;
  const Model filler = LoadOrDie(ToyPath("gemma_fill"), load);
  const auto fill = *FillInMiddle::Create(**filler.tokenizer());
  GenerateOptions options = Seeded(3, 4);
  options.stop_tokens = fill.stop_tokens();
  const Completion wanted = AnswerOf(
      filler, *fill.Prompt({.prefix = "the ", .suffix = " us"}), options);
  Server filling = ServerOf(filler);
  const Reply filled = Post(filling, kTextPath, body);
  EXPECT_EQ(filled.json["choices"][0]["text"], wanted.text) << filled.body;
}

TEST(TextRoute, RefusesWrongPrompts) {
  Server server = ServerOf(Gemma3Toy(), {}, {.max_choices = 4});
  const auto error = [&](const ServeJson& fields) {
    ServeJson body = {{"prompt", "the"}, {"max_tokens", 1}};
    body.update(fields);
    const Reply reply = Post(server, kTextPath, body);
    EXPECT_EQ(reply.status, 400) << reply.body;
    return reply.error();
  };
  EXPECT_THAT(error({{"prompt", nullptr}}), HasSubstr("'prompt' is missing"));
  EXPECT_THAT(error({{"prompt", ServeJson::array()}}), HasSubstr("is empty"));
  EXPECT_THAT(error({{"prompt", {5, "a"}}}), HasSubstr("prompt"));
  EXPECT_THAT(error({{"prompt", {"a", 5}}}), HasSubstr("prompt[1]: "));
  EXPECT_THAT(error({{"prompt", {5, 99999}}}), HasSubstr("prompt: token 1 of"));
  EXPECT_THAT(error({{"prompt", {"a", "b", "c"}}, {"n", 2}}),
              HasSubstr("has 3 prompts with 2 answers each"));
  EXPECT_THAT(error({{"best_of", 2}}), HasSubstr("best_of: 'best_of' is 2"));
  EXPECT_THAT(error({{"logprobs", true}}), HasSubstr("logprobs: "));
  EXPECT_THAT(error({{"prompt", ""}, {"add_special_tokens", false}}),
              HasSubstr("prompt: 'prompt' has no tokens"));
}

TEST(InfillRoute, FillsAsCompletions) {
  LoadOptions load;
  load.num_threads = kToyThreads;
  const Model filler = LoadOrDie(ToyPath("gemma_fill"), load);
  const auto fill = *FillInMiddle::Create(**filler.tokenizer());
  GenerateOptions options = Seeded(3, 4);
  options.stop_tokens = fill.stop_tokens();
  const std::vector<SourceFile> files = {{"a.py", "the model"}};
  const std::vector<TokenId> prompt =
      *fill.Prompt({.prefix = "the us ", .suffix = " us", .files = files});
  const Completion wanted = AnswerOf(filler, prompt, options);
  Server server = ServerOf(filler);
  ServeJson body = {
      {"input_prefix", "the "},
      {"prompt", "us "},
      {"input_suffix", " us"},
      {"input_extra", {{{"filename", "a.py"}, {"text", "the model"}}}},
      {"n_predict", 4},
      {"seed", 3}};
  const Reply whole = Post(server, "/infill", body);
  EXPECT_EQ(whole.json["content"], wanted.text) << whole.body;
  EXPECT_EQ(whole.json["tokens_evaluated"], prompt.size());
  body["stream"] = true;
  const Reply stream = Post(server, "/infill", body);
  std::string text;
  for (const ServeJson& event : stream.events) text += event["content"];
  EXPECT_EQ(text, wanted.text);
  ASSERT_FALSE(stream.events.empty()) << stream.body;
  EXPECT_EQ(stream.events.back()["stop"], true);
  body["stream"] = false;
  body["max_tokens"] = 3;
  EXPECT_THAT(Post(server, "/infill", body).error(),
              HasSubstr("n_predict: 'n_predict' is 4 and 'max_tokens' is 3"));
  body["n_predict"] = nullptr;
  EXPECT_LE(Post(server, "/infill", body).json["tokens_predicted"], 3);
  Server other = ServerOf(Gemma3Toy());
  EXPECT_THAT(Post(other, "/infill", {{"input_prefix", "a"}}).error(),
              HasSubstr("model: the vocabulary has no"));
}

}  // namespace
}  // namespace gemma::internal
