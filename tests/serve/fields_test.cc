// What requests may ask, and the errors of what they may not. Also the order
// of a chat's messages, and the JSON of responses.

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/serve/answer/json_writer.h"
#include "src/serve/request/chat_messages.h"
#include "tests/serve/serve_client.h"
#include "tests/support/error_of.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

// The error of a chat with these fields.
std::string ChatError(Server& server, const ServeJson& fields) {
  ServeJson body = {{"messages", {{{"role", "user"}, {"content", "the"}}}},
                    {"max_tokens", 1}};
  body.update(fields);
  const Reply reply = Post(server, kChatPath, body);
  EXPECT_EQ(reply.status, 400) << reply.body;
  EXPECT_EQ(reply.json["error"]["type"], "invalid_request_error");
  return reply.error();
}

// Each field that would change the answer has its own error.
TEST(RequestFields, WrongOnesAreNamed) {
  Server server = ServerOf(Gemma3Toy(), {}, {.max_choices = 4});
  const std::vector<std::pair<const char*, const char*>> cases = {
      {R"({"temperature": "hot"})",
       "temperature: the request: 'temperature' is the string 'hot', wanted a "
       "number"},
      {R"({"temperature": -1})", "temperature: temperature is -1, wanted 0"},
      {R"({"top_p": 1.5})", "top_p: top_p is 1.5, wanted 0 to 1"},
      {R"({"top_k": -1})", "top_k: the request: 'top_k' is -1"},
      {R"({"repetition_penalty": 0})", "repetition_penalty: repetition"},
      {R"({"n": 0})", "n: 'n' is 0, wanted 1 to 4"},
      {R"({"n": 5})", "n: 'n' is 5, wanted 1 to 4"},
      {R"({"seed": 1.5})", "seed: the request: 'seed' is"},
      {R"({"seed": 18446744073709551616})", "seed: "},
      {R"({"stop": 3})", "stop: "},
      {R"({"stop": ["a", ""]})", "stop: 'stop' has an empty string"},
      {R"({"stop_token_ids": [99999]})", "stop_token_ids: token 0 of stop_tok"},
      {R"({"logit_bias": {"the": 1}})",
       "logit_bias.the: 'logit_bias.the' is not a token id, wanted 0 to"},
      {R"({"logit_bias": {"99999": 1}})", "logit_bias[99999]: "},
      {R"({"logit_bias": {"5": "x"}})", "logit_bias[5]: the request: "},
      {R"({"logit_bias": [1]})", "logit_bias: "},
      {R"({"max_tokens": 0})", "max_tokens: 'max_tokens' is 0, wanted 1"},
      {R"({"max_tokens": 1, "max_completion_tokens": 2})",
       "max_completion_tokens: 'max_completion_tokens' is 2 and 'max_tokens' "
       "is 1"},
      {R"({"stream_options": {"include_usage": true}})",
       "stream_options: 'stream_options' needs \"stream\": true"},
      {R"({"stream": true, "stream_options": {"x": 1}})",
       "stream_options.x: 'stream_options.x' is not a field"},
      {R"({"return_progress": true})", "return_progress: "},
      {R"({"top_logprobs": 2})", "top_logprobs: 'top_logprobs' needs"},
      {R"({"logprobs": true, "top_logprobs": 21})",
       "top_logprobs: 'top_logprobs' is 21, wanted 0 to 20"},
      {R"({"timeout": 0})", "timeout: 'timeout' is 0 seconds"},
      {R"({"tools": [{"type": "function"}]})",
       "tools[0].function: 'tools[0].function' is missing"},
      {R"({"tool_choice": "required"})", "tool_choice: 'tool_choice' asks for"},
      {R"({"tool_choice": 1})", "'tool_choice' is 1, wanted a string or an"},
      {R"({"tool_choice": {"type": "allowed_tools", "allowed_tools":
          {"mode": "auto", "tools": []}}})",
       "tool_choice.allowed_tools.tools' is empty, wanted one tool or more"},
      {R"({"tools": [{"type": "function", "function": {"name": "f"}}],
          "top_k": 9, "samplers": ["top_k", "infill"]})",
       "samplers: 'samplers' has 'infill', which may end the answer anywhere"},
      {R"({"parallel_tool_calls": "no"})", "parallel_tool_calls: "},
      {R"({"functions": []})", "functions: 'functions' is not a field"},
      {R"({"mirostat": 2})", "mirostat: 'mirostat' is not a field"},
      {R"({"min_tokens": 3})", "min_tokens: 'min_tokens' is 3, wanted at most"},
      {R"({"modalities": ["text", "audio"]})", "modalities: "},
      {R"({"reasoning_effort": "much"})", "reasoning_effort: 'reasoning_eff"},
      {R"({"think": false, "reasoning_effort": "high"})",
       "reasoning_effort: 'reasoning_effort' turns thoughts on, and another "
       "field turns them off"},
      {R"({"think": true,
          "chat_template_kwargs": {"enable_thinking": false}})",
       "enable_thinking' turns thoughts off, and another field turns them on"},
      {R"({"think": true})", "think: thinking is on, but models"},
      {R"({"reasoning_effort": "low"})", "reasoning_effort: thinking is on"},
      {R"({"chat_template_kwargs": {"enable_thinking": true}})",
       "chat_template_kwargs.enable_thinking: thinking is on"},
      {R"({"reasoning_effort": "high", "choice": ["a"]})",
       "reasoning_effort: the request asks for thoughts and for a form"},
      {R"({"chat_template_kwargs": {"x": 1}})", "chat_template_kwargs.x: "},
      {R"({"continue_final_message": true})", "continue_final_message: "},
      {R"({"add_generation_prompt": false})", "add_generation_prompt: "},
      {R"({"response_format": {"type": "xml"}})",
       "response_format.type: 'response_format.type' is 'xml', wanted 'text'"},
      {R"({"response_format": {"type": "json_schema"}})",
       "response_format.json_schema: 'response_format.json_schema' is missing"},
      {R"({"response_format": {"type": "json_schema", "json_schema":
          {"name": "a", "schema": {"properties": {"x": {"not": {}}}}}}})",
       "response_format.json_schema.schema: '"},
      {R"({"regex": "("})", "regex: 'regex': "},
      {R"({"choice": []})", "choice: 'choice': there are no choices"},
      {R"({"regex": "a", "choice": ["a"]})", "choice: 'choice' is a second"},
      {R"({"regex": "a", "response_format": {"type": "json_object"}})",
       "regex: 'regex' is a second restriction"},
      {R"({"think": true, "regex": "a"})", "think: "},
  };
  for (const auto& [fields, error] : cases) {
    EXPECT_THAT(ChatError(server, ServeJson::parse(fields)), HasSubstr(error))
        << fields;
  }
}

TEST(RequestFields, WrongMessagesAreNamed) {
  Server server = ServerOf(Gemma3Toy());
  const std::vector<std::pair<const char*, const char*>> cases = {
      {"3", "messages: "},
      {"[]", "messages: 'messages' is empty"},
      {"[3]", "messages[0]: "},
      {R"([{"content": "a"}])", "messages[0].role: 'messages[0].role' is miss"},
      {R"([{"role": "bot", "content": "a"}])",
       "messages[0].role: 'messages[0].role' is 'bot', wanted system"},
      {R"([{"role": "user"}])", "messages[0].content: "},
      {R"([{"role": "user", "content": null}])", "messages[0].content: "},
      {R"([{"role": "user", "content": 3}])", "messages[0].content: "},
      {R"([{"role": "user", "content": [{"type": "image_url", "image_url":
          {"url": "http://a/b.png"}}]}])",
       "messages[0].content[0].image_url: 'messages[0].content[0].image_url' "
       "is a part of the type 'image_url', wanted 'text'"},
      {R"([{"role": "user", "content": "a", "name": "Ann"}])",
       "messages[0].name: "},
      {R"([{"role": "user", "content": "a", "tool_calls": []}])",
       "messages[0].tool_calls: "},
      {R"([{"role": "assistant", "tool_calls": [{"id": "1"}]}])",
       "messages[0].tool_calls[0].function: "},
      {R"([{"role": "assistant", "content": "a"}])",
       "messages: the only message is the assistant's, wanted one of the user"},
  };
  for (const auto& [messages, error] : cases) {
    EXPECT_THAT(ChatError(server, {{"messages", ServeJson::parse(messages)}}),
                HasSubstr(error))
        << messages;
  }
}

// Clients send these without wanting another answer.
TEST(RequestFields, DescriptionsAreAccepted) {
  Server server = ServerOf(Gemma3Toy());
  const ServeJson body = ServeJson::parse(R"({
    "messages": [
      {"role": "user", "content": [{"type": "text", "text": "the"}]},
      {"role": "assistant", "content": "model", "refusal": null,
       "audio": null, "annotations": [], "tool_calls": null},
      {"role": "user", "content": "us"}],
    "max_completion_tokens": 1, "max_tokens": 1, "user": "u", "store": false,
    "metadata": {"a": "b"}, "service_tier": "auto", "tools": [],
    "tool_choice": "none", "parallel_tool_calls": true, "modalities": ["text"],
    "reasoning_effort": "none", "response_format": {"type": "text"},
    "logit_bias": {}, "stop": null, "seed": null, "frequency_penalty": 0,
    "unknown": null, "prompt_cache_key": "k", "add_generation_prompt": true,
    "chat_template_kwargs": {"enable_thinking": false}})");
  const Reply reply = Post(server, kChatPath, body);
  EXPECT_EQ(reply.status, 200) << reply.body;
}

std::string Shown(const std::vector<Message>& messages) {
  std::string text;
  for (const Message& message : messages) {
    text += std::string("SUMTD")[static_cast<size_t>(message.role)];
    text += "(" + message.text + ")";
    if (!message.content_json.empty()) text += "+parts";
    for (const ToolCall& call : message.tool_calls) text += ">" + call.name;
  }
  return text;
}

TEST(ChatMessages, TakeTurns) {
  const Message system = {Role::kSystem, "s"}, user = {Role::kUser, "u"},
                model = {Role::kModel, "m"},
                developer = {Role::kDeveloper, "d"};
  Message call = {Role::kModel, ""};
  call.tool_calls = {{.name = "f", .arguments = R"({"a": 1})"}};
  const Message result = {.role = Role::kTool, .text = "r", .tool_name = "f"};
  Message parts = {Role::kUser, "pq"};
  parts.content_json = "[]";
  const auto turns = [](const std::vector<Message>& messages,
                        bool has_tools = true) {
    return Shown(InTurns(messages, has_tools));
  };
  EXPECT_EQ(turns({user, user, model, model, user}), "U(u\n\nu)M(m\n\nm)U(u)");
  EXPECT_EQ(turns({system, developer, user}), "S(s\n\nd)U(u)");
  EXPECT_EQ(turns({developer, user}), "D(d)U(u)");
  EXPECT_EQ(turns({developer, user}, false), "S(d)U(u)");
  EXPECT_EQ(turns({user, model, system, user}), "U(u)M(m)U(s\n\nu)");
  EXPECT_EQ(turns({user, system}), "U(u\n\ns)");
  EXPECT_EQ(turns({parts, model, parts, user}), "U(pq)+partsM(m)U(pq\n\nu)");
  EXPECT_EQ(turns({user, model, call, result, result, model}),
            "U(u)M(m)>fT(r)T(r)M(m)");
  EXPECT_EQ(
      turns({user, call, result, user, model}, false),
      "U(u)M({\"name\": \"f\", \"parameters\": {\"a\": 1}})U(r\n\nu)M(m)");
  call.tool_calls[0].name = "g\"{\n";
  EXPECT_EQ(turns({user, call}, false),
            R"(U(u)M({"name": "g\"{\n", "parameters": {"a": 1}}))");
}

// The text of the last message begins the answer, as it is.
TEST(ChatMessages, OpenTurnsGoOn) {
  const Model model = Gemma3Toy();
  const Tokenizer& tokenizer = **model.tokenizer();
  const auto tokens = ChatTokens(
      tokenizer, *model.chat_template(),
      {{Role::kUser, "the"}, {Role::kModel, "model <end_of_turn> us "}}, {});
  ASSERT_EQ(ErrorOf(tokens), "OK");
  std::vector<TokenId> wanted = *model.chat_template()->UserTurn("the");
  const auto rest = *tokenizer.Encode("model <end_of_turn> us ");
  wanted.insert(wanted.end(), rest.begin(), rest.end());
  EXPECT_EQ(*tokens, wanted);
}

TEST(JsonWriterTest, WritesAnyValue) {
  JsonWriter json;
  json.Object().Member("a", std::string("q\"\\\n\x01\xff\u00e9"));
  json.Key("b").Array().Value(1.5).Value(-3).Value(size_t{7}).Value(true);
  json.Value(0.1f).Value(std::numeric_limits<double>::infinity()).Null();
  json.Object().Close().Close().Key("c").Raw("[]").Close();
  EXPECT_EQ(json.Take(),
            "{\"a\":\"q\\\"\\\\\\n\\u0001\uFFFD\u00e9\",\"b\":[1.5,-3,7,true,"
            "0.1,null,null,{}],\"c\":[]}");
  const std::string text =
      R"({"a":[1,-2,18446744073709551616,0.25,"x",null,true],"b":{}})";
  EXPECT_EQ(CompactJson(*Json::Parse(text, "text")), text);
}

}  // namespace
}  // namespace gemma::internal
