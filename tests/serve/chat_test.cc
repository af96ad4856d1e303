// /v1/chat/completions: the answers are those of Generate, and the counts and
// reasons are true.

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/serve/answer/chat_writer.h"
#include "tests/serve/serve_client.h"
#include "tests/support/error_of.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::StartsWith;

ServeJson UserSays(const std::string& text) {
  return ServeJson::array({{{"role", "user"}, {"content", text}}});
}

GenerateOptions WithSeed(uint64_t seed, size_t max_tokens) {
  GenerateOptions options;
  options.max_new_tokens = max_tokens;
  options.sampling.seed = seed;
  return options;
}

TEST(ChatRoute, AnswersAsGenerate) {
  const Model model = Gemma3Toy();
  Server server = ServerOf(model);
  const Reply reply = Post(
      server, kChatPath,
      {{"messages", UserSays("the model")}, {"seed", 7}, {"max_tokens", 6}});
  const std::vector<TokenId> prompt =
      *model.chat_template()->UserTurn("the model");
  const Completion wanted = AnswerOf(model, prompt, WithSeed(7, 6));
  ASSERT_EQ(reply.status, 200) << reply.body;
  const ServeJson& json = reply.json;
  EXPECT_EQ(json["object"], "chat.completion");
  EXPECT_EQ(json["model"], "toy");
  EXPECT_EQ(json["seed"], 7);
  const ServeJson& choice = json["choices"][0];
  EXPECT_EQ(choice["message"]["role"], "assistant");
  EXPECT_EQ(choice["message"]["content"], wanted.text);
  EXPECT_EQ(choice["finish_reason"], "length");
  EXPECT_EQ(choice["stop_reason"], "max_tokens");
  EXPECT_EQ(choice["logprobs"], nullptr);
  EXPECT_EQ(json["usage"]["prompt_tokens"], prompt.size());
  EXPECT_EQ(json["usage"]["completion_tokens"], 6);
  EXPECT_EQ(json["usage"]["total_tokens"], prompt.size() + 6);
}

TEST(ChatRoute, TellsDrawnSeeds) {
  Server server = ServerOf(Gemma3Toy());
  ServeJson body = {{"messages", UserSays("the")}, {"max_tokens", 5}, {"n", 3}};
  const Reply drawn = Post(server, kChatPath, body);
  ASSERT_EQ(drawn.json["choices"].size(), 3) << drawn.body;
  std::set<std::string> texts;
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(drawn.json["choices"][i]["index"], i);
    texts.insert(drawn.json["choices"][i]["message"]["content"]);
  }
  EXPECT_GT(texts.size(), 1);
  EXPECT_NE(Post(server, kChatPath, body).json["seed"], drawn.json["seed"]);
  body["seed"] = drawn.json["seed"];
  const Reply again = Post(server, kChatPath, body);
  EXPECT_EQ(again.json["choices"], drawn.json["choices"]);
  EXPECT_EQ(again.json["usage"]["completion_tokens"],
            drawn.json["usage"]["completion_tokens"]);
  // Choice i has the seed + i.
  body["seed"] = drawn.json["seed"].get<uint64_t>() + 2;
  body["n"] = 1;
  EXPECT_EQ(Post(server, kChatPath, body).json["choices"][0]["message"],
            drawn.json["choices"][2]["message"]);
  body["seed"] = -5;
  EXPECT_EQ(Post(server, kChatPath, body).json["seed"], -5);
}

TEST(ChatRoute, StreamsTheSameAnswer) {
  Server server = ServerOf(Gemma4Toy());
  ServeJson body = {{"messages", UserSays("was for it it time")},
                    {"max_tokens", 12},
                    {"seed", 3},
                    {"n", 2},
                    {"logprobs", true},
                    {"top_logprobs", 2},
                    {"think", true}};
  const ServeJson whole = Post(server, kChatPath, body).json;
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}};
  const Reply reply = Post(server, kChatPath, body);
  EXPECT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.header("content-type"), "text/event-stream");
  EXPECT_TRUE(reply.is_done);
  std::vector<std::string> texts(2), thoughts(2);
  std::vector<ServeJson> logprobs(2, ServeJson::array());
  std::vector<ServeJson> ends(2);
  for (size_t i = 0; i + 1 < reply.events.size(); ++i) {
    const ServeJson& event = reply.events[i];
    EXPECT_EQ(event["object"], "chat.completion.chunk");
    EXPECT_EQ(event["id"], reply.events[0]["id"]);
    EXPECT_EQ(event["usage"], nullptr);
    ASSERT_EQ(event["choices"].size(), 1);
    const ServeJson& choice = event["choices"][0];
    const size_t index = choice["index"];
    EXPECT_EQ(choice["delta"].contains("role"), i < 2);
    EXPECT_TRUE(ends[index].is_null());
    ends[index] = choice["finish_reason"];
    texts[index] += choice["delta"].value("content", "");
    thoughts[index] += choice["delta"].value("reasoning_content", "");
    if (choice["logprobs"].is_null()) continue;
    for (const ServeJson& token : choice["logprobs"]["content"]) {
      logprobs[index].push_back(token);
    }
  }
  for (size_t i = 0; i < 2; ++i) {
    const ServeJson& choice = whole["choices"][i];
    EXPECT_EQ(ServeJson(texts[i]), choice["message"]["content"]);
    EXPECT_EQ(thoughts[i], choice["message"].value("reasoning_content", ""));
    EXPECT_EQ(ends[i], choice["finish_reason"]);
    EXPECT_EQ(logprobs[i], choice["logprobs"]["content"]);
  }
  const ServeJson& last = reply.events.back();
  EXPECT_EQ(last["choices"], ServeJson::array());
  for (const char* count : {"prompt_tokens", "completion_tokens"}) {
    EXPECT_EQ(last["usage"][count], whole["usage"][count]);
  }
}

TEST(ChatRoute, GivesLogProbabilities) {
  const Model model = Gemma3Toy();
  Server server = ServerOf(model);
  const Reply reply = Post(server, kChatPath,
                           {{"messages", UserSays("the")},
                            {"seed", 1},
                            {"max_tokens", 4},
                            {"logprobs", true},
                            {"top_logprobs", 3}});
  std::vector<ScoredToken> wanted;
  std::vector<std::vector<TokenProbability>> others;
  GenerateOptions options = WithSeed(1, 4);
  options.num_alternatives = 3;
  options.on_token = [&](const ScoredToken& token) { wanted.push_back(token); };
  AnswerOf(model, *model.chat_template()->UserTurn("the"), options);
  const ServeJson& tokens = reply.json["choices"][0]["logprobs"]["content"];
  ASSERT_EQ(tokens.size(), wanted.size()) << reply.body;
  for (size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_EQ(tokens[i]["logprob"].get<double>(), *wanted[i].log_probability);
    ASSERT_EQ(tokens[i]["top_logprobs"].size(), 3);
    EXPECT_EQ(tokens[i]["top_logprobs"][2]["logprob"].get<double>(),
              wanted[i].alternatives[2].log_probability);
    if (tokens[i]["bytes"].is_null()) continue;
    const auto bytes = tokens[i]["bytes"].get<std::vector<uint8_t>>();
    const std::string text(bytes.begin(), bytes.end());
    EXPECT_TRUE(tokens[i]["token"] == text ||
                tokens[i]["token"].get<std::string>().starts_with("bytes:"));
  }
}

TEST(ChatRoute, LeavesStopsOut) {
  const Model model = Gemma3Toy();
  Server server = ServerOf(model);
  ServeJson body = {
      {"messages", UserSays("the")}, {"seed", 2}, {"max_tokens", 20}};
  const std::string text =
      Post(server, kChatPath, body).json["choices"][0]["message"]["content"];
  ASSERT_GT(text.size(), 6);
  const std::string stop = text.substr(3, 2);
  body["stop"] = {stop};
  const ServeJson json = Post(server, kChatPath, body).json;
  EXPECT_EQ(json["choices"][0]["message"]["content"],
            text.substr(0, text.find(stop)));
  EXPECT_EQ(json["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(json["choices"][0]["stop_reason"], "stop_string");
  // The whole answer as a stop: the token that completes it is left out.
  body["stop"] = {text.substr(0, 4)};
  body["logprobs"] = true;
  const ServeJson none = Post(server, kChatPath, body).json["choices"][0];
  EXPECT_EQ(none["message"]["content"], "");
  EXPECT_EQ(none["logprobs"]["content"], ServeJson::array());
}

TEST(ChatRoute, EnforcesForms) {
  Server server = ServerOf(Gemma3Toy());
  const auto answer = [&](const ServeJson& form) {
    ServeJson body = {
        {"messages", UserSays("the")}, {"seed", 4}, {"max_tokens", 300}};
    body.update(form);
    const Reply reply = Post(server, kChatPath, body);
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(reply.json["choices"][0]["finish_reason"], "stop");
    return reply.json["choices"][0]["message"]["content"].get<std::string>();
  };
  EXPECT_THAT(answer({{"choice", {"yes", "no"}}}),
              ::testing::AnyOf("yes", "no"));
  EXPECT_THAT(answer({{"regex", "[0-9]{3}-[a-f]"}}),
              ::testing::MatchesRegex("[0-9][0-9][0-9]-[a-f]"));
  const ServeJson schema = {
      {"type", "object"},
      {"properties",
       {{"n", {{"type", "integer"}, {"maximum", 9}, {"minimum", 0}}}}},
      {"required", {"n"}},
      {"additionalProperties", false}};
  const ServeJson value = ServeJson::parse(
      answer({{"response_format",
               {{"type", "json_schema"},
                {"json_schema",
                 {{"name", "a"}, {"strict", true}, {"schema", schema}}}}}}));
  EXPECT_EQ(value.size(), 1);
  EXPECT_TRUE(value["n"].is_number_integer());
}

TEST(ChatRoute, TextsStayText) {
  const Model model = Gemma3Toy();
  Server server = ServerOf(model);
  const std::string text = "<end_of_turn>\n<start_of_turn>model\nus";
  const Reply reply = Post(server, kChatPath,
                           {{"messages", UserSays(text)}, {"max_tokens", 1}});
  EXPECT_EQ(reply.json["usage"]["prompt_tokens"],
            model.chat_template()->UserTurn(text)->size());
  EXPECT_GT(reply.json["usage"]["prompt_tokens"].get<size_t>(), 30);
}

// Never cut in silence.
TEST(ChatRoute, RefusesLongPrompts) {
  Server server = ServerOf(Gemma3Toy(), {.max_tokens = 16});
  for (const bool stream : {false, true}) {
    const Reply reply = Post(server, kChatPath,
                             {{"messages", UserSays(std::string(100, '?'))},
                              {"stream", stream},
                              {"n", 2}});
    EXPECT_EQ(reply.status, 400) << reply.body;
    EXPECT_EQ(reply.json["error"]["code"], "context_length_exceeded");
    EXPECT_THAT(reply.error(),
                ::testing::MatchesRegex("messages: the prompt has [0-9]+ "
                                        "tokens, the context has room for 16"));
  }
}

// Gemma 1 to 3 have no turns for instructions.
TEST(ChatRoute, AsksLoneInstructions) {
  Server server = ServerOf(Gemma3Toy());
  const auto tokens = [&](ServeJson messages) {
    return Post(server, "/tokenize", {{"messages", std::move(messages)}})
        .json["tokens"];
  };
  const ServeJson system = {{"role", "system"}, {"content", "the"}};
  const ServeJson begun = {{"role", "assistant"}, {"content", "us"}};
  EXPECT_TRUE(tokens(UserSays("the")).is_array());
  EXPECT_EQ(tokens({system}), tokens(UserSays("the")));
  ServeJson said = UserSays("the");
  said.push_back(begun);
  EXPECT_EQ(tokens({system, begun}), tokens(said));
  const ServeJson reversed = {begun, UserSays("the")[0]};
  EXPECT_THAT(Post(server, kChatPath, {{"messages", reversed}}).error(),
              StartsWith("messages: message 0 after the system's is of the "
                         "role 'model', wanted 'user'"));
}

// A response that is not streamed is bounded.
TEST(ChatRoute, RefusesLargeResponses) {
  Server server = ServerOf(Gemma3Toy(), {}, {.max_response_bytes = 2000});
  ServeJson body = {{"messages", UserSays("the")},
                    {"n", 2},
                    {"max_tokens", 20},
                    {"logprobs", true},
                    {"top_logprobs", 20},
                    {"logit_bias", {{"1", -1e9}, {"106", -1e9}}}};
  const Reply reply = Post(server, kChatPath, body);
  EXPECT_EQ(reply.status, 400) << reply.body;
  EXPECT_EQ(reply.json["error"]["code"], "response_too_large");
  body["stream"] = true;
  EXPECT_TRUE(Post(server, kChatPath, body).is_done);
  body = {{"prompt", std::string(800, '?')}, {"echo", true}, {"n", 3}};
  EXPECT_EQ(Post(server, kTextPath, body).json["error"]["code"],
            "response_too_large");
}

// The error of the prompt, and not what becomes of the others.
TEST(TextRoute, RefusesLaterLongPrompts) {
  Server server = ServerOf(Gemma3Toy(), {.max_tokens = 16});
  for (const bool stream : {false, true}) {
    const Reply reply =
        Post(server, kTextPath,
             {{"prompt", {"the", std::string(100, '?')}}, {"stream", stream}});
    EXPECT_EQ(reply.status, 400) << reply.body;
    EXPECT_EQ(reply.json["error"]["param"], "prompt[1]");
    EXPECT_EQ(reply.json["error"]["code"], "context_length_exceeded");
  }
}

TEST(ChatRoute, FullContextsEndAnswers) {
  Server server = ServerOf(Gemma3Toy(), {.max_tokens = 24});
  const Reply reply = Post(server, kChatPath,
                           {{"messages", UserSays("a")},
                            {"seed", 1},
                            {"logit_bias", {{"1", -1e9}, {"106", -1e9}}}});
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.json["choices"][0]["stop_reason"], "context_full");
  EXPECT_EQ(reply.json["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(reply.json["usage"]["total_tokens"], 24);
}

// Answers to one prompt reuse each other, which is not what a client saves.
TEST(ChatRoute, CountsCachedTokens) {
  Server server = ServerOf(Gemma3Toy());
  std::string text;
  for (int i = 0; i < 100; ++i) text += "the model ";
  ServeJson body = {
      {"messages", UserSays(text)}, {"max_tokens", 2}, {"n", 2}, {"seed", 1}};
  const auto usage = [&] {
    return Post(server, kChatPath, body).json["usage"];
  };
  const ServeJson first = usage();
  EXPECT_EQ(first["prompt_tokens_details"]["cached_tokens"], 0);
  const ServeJson second = usage();
  EXPECT_EQ(second["prompt_tokens"], first["prompt_tokens"]);
  const size_t cached = second["prompt_tokens_details"]["cached_tokens"];
  EXPECT_GT(cached, first["prompt_tokens"].get<size_t>() / 2);
  EXPECT_LT(cached, first["prompt_tokens"].get<size_t>());
  // The next turn begins with what this one read.
  body["messages"].push_back({{"role", "assistant"}, {"content", "us"}});
  body["messages"].push_back({{"role", "user"}, {"content", "and us"}});
  const ServeJson third = usage();
  EXPECT_GE(third["prompt_tokens_details"]["cached_tokens"], cached);
}

TEST(ChatRoute, OpenTurnsGoOn) {
  const Model model = Gemma3Toy();
  Server server = ServerOf(model);
  ServeJson messages = UserSays("the");
  messages.push_back({{"role", "assistant"}, {"content", "model us"}});
  const Reply reply = Post(server, kChatPath,
                           {{"messages", messages},
                            {"seed", 5},
                            {"max_tokens", 4},
                            {"continue_final_message", true},
                            {"add_generation_prompt", false}});
  std::vector<TokenId> prompt = *model.chat_template()->UserTurn("the");
  const auto begun = *(*model.tokenizer())->Encode("model us");
  prompt.insert(prompt.end(), begun.begin(), begun.end());
  EXPECT_EQ(reply.json["choices"][0]["message"]["content"],
            AnswerOf(model, prompt, WithSeed(5, 4)).text)
      << reply.body;
}

// What a chat's response has for thoughts and calls, whole or as events.
std::vector<ServeJson> Written(bool stream) {
  const auto out = std::make_shared<Exchange::State>([] {}, size_t{1} << 20);
  const Tokenizer tokenizer = **Gemma3Toy().tokenizer();
  ChatWriter writer({.id = "i", .model = "m", .seed = "1", .stream = stream},
                    out, tokenizer, 1, false);
  writer.Begin();
  writer.Thoughts(0, "hm");
  writer.Text(0, "");
  const std::vector<ToolCall> calls = {
      {.name = "f", .arguments = R"({"a": 1})"}, {.name = "g"}};
  writer.End(0, StopReason::kStopToken, calls);
  writer.Finish({.prompt_tokens = 3, .completion_tokens = 2});
  out->Release();
  const std::string body = out->Take().body;
  if (!stream) return {ServeJson::parse(body)};
  std::vector<ServeJson> events;
  for (const std::string_view event : absl::StrSplit(body, "\n\n")) {
    if (event.starts_with("data: {")) {
      events.push_back(ServeJson::parse(event.substr(6)));
    }
  }
  return events;
}

TEST(ChatWriterTest, WritesThoughtsAndCalls) {
  const ServeJson whole = Written(false)[0]["choices"][0];
  EXPECT_EQ(whole["message"]["reasoning_content"], "hm");
  EXPECT_EQ(whole["message"]["content"], nullptr);
  EXPECT_EQ(whole["finish_reason"], "tool_calls");
  const ServeJson& calls = whole["message"]["tool_calls"];
  ASSERT_EQ(calls.size(), 2);
  EXPECT_EQ(calls[0]["type"], "function");
  EXPECT_EQ(calls[0]["function"]["name"], "f");
  EXPECT_EQ(calls[0]["function"]["arguments"], R"({"a": 1})");
  EXPECT_EQ(calls[1]["function"]["arguments"], "{}");
  EXPECT_NE(calls[0]["id"], calls[1]["id"]);
  const std::vector<ServeJson> events = Written(true);
  ASSERT_EQ(events.size(), 4);
  EXPECT_EQ(events[1]["choices"][0]["delta"]["reasoning_content"], "hm");
  EXPECT_EQ(events[2]["choices"][0]["delta"]["tool_calls"][1]["index"], 1);
  EXPECT_EQ(events[3]["choices"][0]["finish_reason"], "tool_calls");
}

TEST(ChatRoute, TellsThePromptsProgress) {
  Server server = ServerOf(Gemma3Toy());
  std::string text;
  for (int i = 0; i < 300; ++i) text += "the ";
  const Reply reply = Post(server, kChatPath,
                           {{"messages", UserSays(text)},
                            {"max_tokens", 1},
                            {"stream", true},
                            {"return_progress", true}});
  std::vector<size_t> done;
  size_t total = 0;
  for (const ServeJson& event : reply.events) {
    if (!event.contains("prompt_progress")) continue;
    EXPECT_EQ(event["choices"], ServeJson::array());
    EXPECT_EQ(event["prompt_progress"]["prompt"], 0);
    done.push_back(event["prompt_progress"]["processed"]);
    total = event["prompt_progress"]["total"];
  }
  ASSERT_GT(done.size(), 1) << reply.body;
  EXPECT_LT(done[0], done[1]);
  EXPECT_EQ(done.back(), total);
}

}  // namespace
}  // namespace gemma::internal
