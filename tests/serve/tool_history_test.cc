// Calls and results that clients send back in a chat.

#include <string>
#include <string_view>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/serve/serve_client.h"
#include "tests/serve/tool_toys.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

using ::testing::HasSubstr;

ServeJson CallOf(const std::string& id, const ServeJson& arguments) {
  return {{"id", id},
          {"type", "function"},
          {"function", {{"name", "look_up"}, {"arguments", arguments}}}};
}

ServeJson ResultOf(const std::string& id, const std::string& text) {
  return {{"role", "tool"}, {"tool_call_id", id}, {"content", text}};
}

// A question, the calls and these messages.
ServeJson ChatOf(const ServeJson& calls, const ServeJson& later) {
  ServeJson chat = UserAsks("the");
  chat.push_back({{"role", "assistant"}, {"tool_calls", calls}});
  for (const ServeJson& message : later) chat.push_back(message);
  return chat;
}

Reply ChatTokensOf(Server& server, const ServeJson& messages) {
  return Post(server, "/tokenize", {{"messages", messages}});
}

TEST(ToolHistory, ResultsFollowTheirCalls) {
  for (const Dialect& dialect : Dialects()) {
    SCOPED_TRACE(dialect.name);
    Server server = ServerOf(dialect.model);
    const ServeJson calls = {CallOf("a", R"({"city":"Rome"})"),
                             CallOf("b", R"({"city":"Oslo"})")};
    const ServeJson hot = ResultOf("a", "hot"), cold = ResultOf("b", "cold");
    const Reply wanted = ChatTokensOf(server, ChatOf(calls, {hot, cold}));
    EXPECT_EQ(wanted.status, 200) << wanted.body;
    // With the names of functions, the order is the client's, as in Google's
    // template.
    EXPECT_EQ(
        ChatTokensOf(server, ChatOf(calls, {cold, hot})).body == wanted.body,
        std::string_view(dialect.name) == "json");
    // So it is without ids.
    ServeJson first = cold, second = hot;
    first.erase("tool_call_id");
    second.erase("tool_call_id");
    const Reply other = ChatTokensOf(server, ChatOf(calls, {first, second}));
    EXPECT_EQ(other.status, 200) << other.body;
    EXPECT_NE(other.body, wanted.body);
  }
}

TEST(ToolHistory, ResultsNeedCalls) {
  for (const Dialect& dialect : Dialects()) {
    SCOPED_TRACE(dialect.name);
    Server server = ServerOf(dialect.model);
    const ServeJson calls = ServeJson::array({CallOf("a", "{}")});
    const Reply unknown = ChatTokensOf(
        server, ChatOf(calls, ServeJson::array({ResultOf("z", "r")})));
    EXPECT_EQ(unknown.status, 400) << unknown.body;
    EXPECT_THAT(unknown.error(),
                HasSubstr("has the call_id 'z', which no call before it has"));
    ServeJson chat = UserAsks("the");
    chat.push_back(ResultOf("a", "r"));
    EXPECT_EQ(ChatTokensOf(server, chat).status, 400);
  }
}

TEST(ToolHistory, ArgumentsAreObjects) {
  for (const Dialect& dialect : Dialects()) {
    SCOPED_TRACE(dialect.name);
    Server server = ServerOf(dialect.model);
    const auto reply = [&](const ServeJson& arguments) {
      return ChatTokensOf(server,
                          ChatOf(ServeJson::array({CallOf("a", arguments)}),
                                 ServeJson::array({ResultOf("a", "r")})));
    };
    for (const char* wrong : {"not json", "[1]", "null", "{\"a\":1} x", " "}) {
      EXPECT_EQ(reply(wrong).status, 400) << wrong;
      EXPECT_THAT(reply(wrong).error(),
                  HasSubstr("messages[1].tool_calls[0].function.arguments: "));
    }
    const std::string none = reply("{}").body;
    EXPECT_EQ(reply("").body, none);
    EXPECT_EQ(reply(nullptr).body, none);
    EXPECT_EQ(reply(ServeJson::object()).body, none);
    EXPECT_EQ(reply("{\"a\": 1}").status, 200);
  }
}

// As chats say it.
TEST(ToolHistory, DeclarationsNeedADialect) {
  Server server =
      ServerOf(LoadOrDie(ToyPath("gemma_fill"), {.num_threads = 1}));
  const Reply reply = Post(server, "/tokenize",
                           {{"messages", UserAsks("a")}, {"tools", Tools()}});
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.error(),
              HasSubstr("tools: 'tools' has tools, but the model"));
}

}  // namespace
}  // namespace gemma::internal
