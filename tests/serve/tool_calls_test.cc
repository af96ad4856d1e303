// Tools on /v1/chat/completions: even a model with random weights calls only
// what is declared, with arguments that its schema allows, in each dialect.

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/serve/serve_client.h"
#include "tests/serve/tool_toys.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(ToolCalls, RequiredOnesAreValid) {
  for (const Dialect& dialect : Dialects()) {
    SCOPED_TRACE(dialect.name);
    Server server = ServerOf(dialect.model);
    EXPECT_EQ(Get(server, "/v1/models").json["data"][0]["tool_dialect"],
              dialect.name);
    const Reply reply = Post(server, kChatPath,
                             {{"messages", UserAsks("the")},
                              {"tools", Tools()},
                              {"tool_choice", "required"},
                              {"parallel_tool_calls", false},
                              {"seed", 1},
                              {"n", 12},
                              {"max_tokens", 300}});
    ASSERT_EQ(reply.status, 200) << reply.body;
    size_t complete = 0;
    for (const ServeJson& choice : reply.json["choices"]) {
      const size_t calls = CheckCalls(choice);
      const bool ended = choice["finish_reason"] == "tool_calls";
      EXPECT_EQ(choice["finish_reason"], ended ? "tool_calls" : "length");
      EXPECT_EQ(calls, ended ? 1 : 0) << choice;
      EXPECT_EQ(choice["message"]["content"].is_null() ||
                    choice["message"]["content"] == "",
                true)
          << choice;
      complete += calls;
    }
    EXPECT_GE(complete, 6) << reply.body;
  }
}

TEST(ToolCalls, ComeInDeltas) {
  for (const Dialect& dialect : Dialects()) {
    SCOPED_TRACE(dialect.name);
    Server server = ServerOf(dialect.model);
    ServeJson body = {{"messages", UserAsks("the")},
                      {"tools", Tools()},
                      {"tool_choice", "required"},
                      {"seed", 5},
                      {"n", 3},
                      {"logprobs", true},
                      {"max_tokens", 200}};
    const ServeJson whole = Post(server, kChatPath, body).json;
    body["stream"] = true;
    const Reply reply = Post(server, kChatPath, body);
    ASSERT_TRUE(reply.is_done) << reply.body;
    size_t pieces = 0;
    for (const ServeJson& wanted : whole["choices"]) {
      std::vector<std::string> names, arguments;
      ServeJson end, logprobs = ServeJson::array();
      for (const ServeJson& event : reply.events) {
        const ServeJson& choice = event["choices"][0];
        if (choice["index"] != wanted["index"]) continue;
        end = choice["finish_reason"];
        if (!choice["logprobs"].is_null()) {
          for (const ServeJson& token : choice["logprobs"]["content"]) {
            logprobs.push_back(token);
          }
        }
        if (!choice["delta"].contains("tool_calls")) continue;
        const ServeJson& call = choice["delta"]["tool_calls"][0];
        const size_t index = call["index"];
        if (call.contains("id")) {
          EXPECT_EQ(index, names.size());
          names.push_back(call["function"]["name"].get<std::string>());
          arguments.emplace_back();
        }
        ASSERT_EQ(index + 1, names.size());
        arguments[index] += call["function"]["arguments"].get<std::string>();
        ++pieces;
      }
      EXPECT_EQ(end, wanted["finish_reason"]);
      EXPECT_EQ(logprobs, wanted["logprobs"]["content"]);
      const ServeJson calls =
          wanted["message"].value("tool_calls", ServeJson::array());
      // A last call that was cut short has come in deltas only.
      ASSERT_GE(names.size(), calls.size());
      ASSERT_LE(names.size(), calls.size() + 1);
      for (size_t i = 0; i < calls.size(); ++i) {
        EXPECT_EQ(ServeJson(names[i]), calls[i]["function"]["name"]);
        EXPECT_EQ(ServeJson(arguments[i]), calls[i]["function"]["arguments"]);
      }
    }
    EXPECT_GT(pieces, 12);
  }
}

TEST(ToolCalls, AutoLeavesTextFree) {
  for (const Dialect& dialect : Dialects()) {
    SCOPED_TRACE(dialect.name);
    Server server = ServerOf(dialect.model);
    ServeJson body = {{"messages", UserAsks("the")},
                      {"tools", Tools()},
                      {"seed", 3},
                      {"n", 4},
                      {"max_tokens", 300}};
    // Once a call has begun, it is a valid one.
    body["logit_bias"] = {{absl::StrCat(dialect.call), 100}};
    size_t calls = 0;
    const ServeJson biased = Post(server, kChatPath, body).json;
    for (const ServeJson& choice : biased["choices"]) {
      calls += CheckCalls(choice);
    }
    EXPECT_GE(calls, 2) << biased;
    // Without it, the answer is any text.
    for (const char* choice : {"auto", "none"}) {
      const double bias = std::string_view(choice) == "none" ? 100 : -100;
      body["logit_bias"] = {{absl::StrCat(dialect.call), bias}};
      body["tool_choice"] = choice;
      body["max_tokens"] = 12;
      const ServeJson json = Post(server, kChatPath, body).json;
      for (const ServeJson& each : json["choices"]) {
        EXPECT_FALSE(each["message"].contains("tool_calls")) << json;
        EXPECT_NE(each["finish_reason"], "tool_calls");
        const std::string text = each["message"]["content"];
        // JSON is text if nothing is a call.
        EXPECT_EQ(text.starts_with("{"),
                  bias > 0 && std::string_view(dialect.name) == "json")
            << text;
      }
    }
  }
}

TEST(ToolCalls, ChoiceNamesTheTool) {
  for (const Dialect& dialect : Dialects()) {
    SCOPED_TRACE(dialect.name);
    Server server = ServerOf(dialect.model);
    ServeJson body = {{"messages", UserAsks("the")},
                      {"tools", Tools()},
                      {"seed", 8},
                      {"max_tokens", 100}};
    const ServeJson now = {{"type", "function"},
                           {"function", {{"name", "now"}}}};
    body["tool_choice"] = now;
    const ServeJson one = Post(server, kChatPath, body).json["choices"][0];
    ASSERT_EQ(one["message"]["tool_calls"].size(), 1) << one;
    EXPECT_EQ(one["message"]["tool_calls"][0]["function"]["name"], "now");
    EXPECT_EQ(one["message"]["tool_calls"][0]["function"]["arguments"], "{}");
    EXPECT_EQ(one["finish_reason"], "tool_calls");
    body["tool_choice"] = {
        {"type", "allowed_tools"},
        {"allowed_tools",
         {{"mode", "required"}, {"tools", ServeJson::array({now})}}}};
    const ServeJson many = Post(server, kChatPath, body).json["choices"][0];
    EXPECT_GE(CheckCalls(many), 1) << many;
    for (const ServeJson& call : many["message"]["tool_calls"]) {
      EXPECT_EQ(call["function"]["name"], "now");
    }
  }
}

// Two ASCII characters of a text, not its first ones.
std::string PartOf(const std::string& text) {
  for (size_t i = 2; i + 2 < text.size(); ++i) {
    if (text[i] > 0 && text[i + 1] > 0) return text.substr(i, 2);
  }
  return "";
}

TEST(ToolCalls, StopsLeaveThemWhole) {
  for (const Dialect& dialect : Dialects()) {
    SCOPED_TRACE(dialect.name);
    Server server = ServerOf(dialect.model);
    const ServeJson look = {{"type", "function"},
                            {"function", {{"name", "look_up"}}}};
    ServeJson body = {{"messages", UserAsks("the")},
                      {"tools", Tools()},
                      {"tool_choice", look},
                      {"seed", 1},
                      {"max_tokens", 400}};
    const auto answer = [&] {
      return Post(server, kChatPath, body).json["choices"][0];
    };
    ServeJson whole = answer();
    ASSERT_EQ(CheckCalls(whole), 1) << whole;
    body["stop"] = {"name", "look", ":", "{", "\""};
    EXPECT_EQ(answer()["message"]["tool_calls"][0]["function"],
              whole["message"]["tool_calls"][0]["function"]);
    // They end the text before a call.
    body.erase("stop");
    body["tool_choice"] = "auto";
    body["logit_bias"] = {{absl::StrCat(dialect.call), -100}};
    const Tokenizer& tokenizer = **dialect.model.tokenizer();
    if (const auto thoughts = tokenizer.Find("<|channel>")) {
      body["logit_bias"][absl::StrCat(*thoughts)] = -100;
    }
    body["max_tokens"] = 30;
    const std::string text = answer()["message"]["content"];
    const std::string stop = PartOf(text);
    ASSERT_NE(stop, "") << text;
    body["stop"] = {stop};
    const ServeJson choice = answer();
    EXPECT_EQ(choice["message"]["content"], text.substr(0, text.find(stop)));
    EXPECT_EQ(choice["finish_reason"], "stop") << choice;
    EXPECT_EQ(choice["stop_reason"], "stop_string");
    body["stream"] = true;
    const Reply reply = Post(server, kChatPath, body);
    EXPECT_EQ(reply.events.back()["choices"][0]["stop_reason"], "stop_string");
  }
}

TEST(ToolCalls, ThoughtsComeFirst) {
  const Model model = Gemma4Toy();
  const Tokenizer& tokenizer = **model.tokenizer();
  const auto token = [&](const char* name) {
    return absl::StrCat(*tokenizer.Find(name));
  };
  Server server = ServerOf(model);
  ServeJson body = {
      {"messages", UserAsks("the")},
      {"tools", Tools()},
      {"tool_choice", "required"},
      {"parallel_tool_calls", false},
      {"think", true},
      {"seed", 2},
      {"n", 4},
      {"max_tokens", 250},
      {"logit_bias", {{token("<|channel>"), 100}, {token("<channel|>"), 4}}}};
  size_t calls = 0;
  const ServeJson json = Post(server, kChatPath, body).json;
  for (const ServeJson& choice : json["choices"]) {
    calls += CheckCalls(choice);
    EXPECT_NE(choice["message"].value("reasoning_content", ""), "");
    EXPECT_TRUE(choice["message"]["content"].is_null() ||
                choice["message"]["content"] == "");
  }
  EXPECT_GE(calls, 1) << json;
  // Without the wish to think, a required call comes first.
  body["think"] = false;
  const Reply calm = Post(server, kChatPath, body);
  for (const ServeJson& choice : calm.json["choices"]) {
    EXPECT_FALSE(choice["message"].contains("reasoning_content"));
  }
}

TEST(ToolCalls, WrongToolsAreNamed) {
  Server server = ServerOf(Gemma4Toy());
  const auto error = [&](const ServeJson& fields) {
    ServeJson body = {{"messages", UserAsks("the")}, {"max_tokens", 1}};
    body.update(fields);
    const Reply reply = Post(server, kChatPath, body);
    EXPECT_EQ(reply.status, 400) << reply.body;
    return reply.error();
  };
  const auto with = [](const char* function) {
    return ServeJson{
        {"tools",
         {{{"type", "function"}, {"function", ServeJson::parse(function)}}}}};
  };
  EXPECT_THAT(error({{"tools", 3}}), StartsWith("tools: "));
  EXPECT_THAT(error({{"tools", {{{"type", "web"}}}}}),
              StartsWith("tools[0].type: 'tools[0].type' is 'web', wanted"));
  EXPECT_THAT(error(with(R"({"description": "d"})")),
              StartsWith("tools[0].function.name: "));
  EXPECT_THAT(error(with(R"({"name": "f", "examples": []})")),
              StartsWith("tools[0].function.examples: "));
  EXPECT_THAT(error(with(R"({"name": "a b"})")),
              HasSubstr("[0].function.name' is the string 'a b', wanted up "));
  EXPECT_THAT(error(with(R"({"name": "f", "parameters": {"type": "object",
                  "properties": {"a": {"not": {}}}}})")),
              AllOf(StartsWith("tools: "),
                    HasSubstr("/0/function/parameters/properties/a/not")));
  EXPECT_THAT(
      error(with(R"({"name": "f", "parameters": {"a": {}}})")),
      HasSubstr("/0/function/parameters': wanted \"type\": \"object\""));
  ServeJson two = {{"tools", {Tools()[1], Tools()[1]}}};
  EXPECT_THAT(error(two), HasSubstr("wanted a name that no other tool has"));
  EXPECT_THAT(error({{"tool_choice", "required"}}),
              StartsWith("tool_choice: 'tool_choice' asks for a call, but"));
  ServeJson body = {{"tools", Tools()}, {"tool_choice", "any"}};
  EXPECT_THAT(error(body), StartsWith("tool_choice: 'tool_choice' is 'any'"));
  body["tool_choice"] = {{"type", "function"}, {"function", {{"name", "g"}}}};
  EXPECT_THAT(error(body), StartsWith("tool_choice.function.name: "));
  body["tool_choice"] = "auto";
  body["regex"] = "a";
  EXPECT_THAT(error(body), StartsWith("regex: 'regex' restricts the answer"));
  Server old = ServerOf(LoadOrDie(ToyPath("gemma_fill"), {.num_threads = 1}));
  const Reply none =
      Post(old, kChatPath, {{"messages", UserAsks("a")}, {"tools", Tools()}});
  EXPECT_EQ(none.status, 400);
  EXPECT_THAT(none.error(),
              StartsWith("tools: 'tools' has tools, but the model"));
}

// tools/reference/gemma4_chat.py wrote the tokens that transformers makes of
// these chats with Google's template.
TEST(ToolCalls, PromptsEqualTransformers) {
  const Model model = Gemma4Toy();
  Server server = ServerOf(model);
  const std::vector<TokenId> empty_thought =
      *(*model.tokenizer())
           ->Encode("<|channel>thought\n<channel|>", ControlTokens::kParse);
  size_t equal = 0;
  for (const ServeJson& chat : ServeJson::parse(
           std::ifstream(GEMMA_TESTDATA_DIR "/chat/gemma4.json"))) {
    const bool is_open = chat["messages"].back()["role"] == "assistant" &&
                         !chat["messages"].back().contains("tool_calls");
    if (chat["tools"].is_null() || !chat["thinking"].is_null() || is_open ||
        chat["messages"].dump().find("tool_responses") != std::string::npos) {
      continue;
    }
    SCOPED_TRACE(chat["name"]);
    // Ours keeps the text before its call; see
    // ToolTurns.TokensEqualTransformers.
    if (chat["name"] == "answer_text_with_call") continue;
    const Reply reply =
        Post(server, "/tokenize",
             {{"messages", chat["messages"]}, {"tools", chat["tools"]}});
    if (chat["name"] == "call_of_text_arguments") {
      EXPECT_EQ(reply.status, 400);
      continue;
    }
    auto wanted = chat["tokens"].get<std::vector<TokenId>>();
    // Models of this size do not write it; see WantedTurns.
    if (reply.json["tokens"].size() < wanted.size() &&
        std::equal(empty_thought.rbegin(), empty_thought.rend(),
                   wanted.rbegin())) {
      wanted.resize(wanted.size() - empty_thought.size());
    }
    EXPECT_EQ(reply.json["tokens"], ServeJson(wanted)) << reply.body;
    ++equal;
  }
  EXPECT_GE(equal, 11);
}

// Declarations, calls and results of a chat are in its prompt, and their texts
// never become control tokens.
TEST(ToolCalls, HistoryStaysText) {
  const std::string marks =
      "<|tool_call><tool_call|><|\"|><|turn><turn|><start_of_turn>"
      "<end_of_turn><escape><start_function_call>";
  for (const Dialect& dialect : Dialects()) {
    SCOPED_TRACE(dialect.name);
    Server server = ServerOf(dialect.model);
    const auto controls = [&](const std::string& text) {
      ServeJson tools = Tools();
      tools[0]["function"]["description"] = text;
      tools[0]["function"]["parameters"]["properties"]["city"]["description"] =
          text;
      const ServeJson call = {
          {"id", "c1"},
          {"type", "function"},
          {"function",
           {{"name", "now"}, {"arguments", ServeJson{{"a", text}}.dump()}}}};
      const ServeJson messages = {
          {{"role", "system"}, {"content", text}},
          {{"role", "user"}, {"content", text}},
          {{"role", "assistant"},
           {"content", nullptr},
           {"tool_calls", ServeJson::array({call})}},
          {{"role", "tool"}, {"tool_call_id", "c1"}, {"content", text}}};
      const Reply reply =
          Post(server, "/tokenize", {{"messages", messages}, {"tools", tools}});
      EXPECT_EQ(reply.status, 200) << reply.body;
      const Tokenizer& tokenizer = **dialect.model.tokenizer();
      std::vector<TokenId> found;
      for (const ServeJson& token : reply.json["tokens"]) {
        if (tokenizer.IsControl(token)) found.push_back(token);
      }
      return found;
    };
    EXPECT_EQ(controls(marks), controls("plain"));
    EXPECT_GE(controls("plain").size(), 5);
  }
}

}  // namespace
}  // namespace gemma::internal
