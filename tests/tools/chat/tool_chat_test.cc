// Chats with thoughts and calls of tools. A model with Gemma 4's control tokens
// says what the test wants.

#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/base/internal.h"
#include "tests/support/error_of.h"
#include "tests/support/hostile_model.h"
#include "tests/support/on_terminal.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"
#include "tools/gemma/answer/answer.h"
#include "tools/gemma/answer/thoughts.h"
#include "tools/gemma/answer/turn_options.h"
#include "tools/gemma/chat/conversation.h"
#include "tools/gemma/chat/saved_chat.h"

namespace gemma::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::IsNull;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kNow[] =
    R"([{"type": "function", "function": {"name": "now", "description": "Time",
         "parameters": {"type": "object", "properties": {}}}}])";

class ToolChatTest : public ::testing::Test {
 protected:
  ToolChatTest() : model_(Load()) {
    options_.sampling.temperature = 0;
    options_.is_turn = true;
  }

  // The model thinks, calls the tool `now`, and answers when it has the result.
  static Model Load() {
    const std::string path = TestDirectory() + "/m.gguf";
    WriteFile(path, ToolCallingModel());
    return LoadOrDie(path, {.num_threads = 1});
  }

  Conversation New(bool thinks) {
    auto conversation = Conversation::Create(
        NewSession(model_, {.max_tokens = 1024}), *model_.chat_template(),
        ContextPolicy::kError,
        [](Session& session, absl::Span<const TokenId> prompt, std::string_view,
           const AnswerOptions& options) {
          return StreamAnswer(session, prompt, options);
        },
        {.tools = kNow, .thinking = thinks});
    EXPECT_EQ(ErrorOf(conversation), "OK");
    return *std::move(conversation);
  }

  // What `act` writes to standard output, then to standard error.
  template <class Act>
  static std::pair<std::string, std::string> Written(Act act) {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    act();
    std::string output = testing::internal::GetCapturedStdout();
    return {std::move(output), testing::internal::GetCapturedStderr()};
  }

  std::vector<TokenId> Rendered(const std::vector<Message>& messages) const {
    return *model_.chat_template()->Render(messages,
                                           {.tools = kNow, .thinking = true});
  }

  const Model model_;
  AnswerOptions options_;
};

TEST_F(ToolChatTest, ResultContinuesTurn) {
  Conversation chat = New(/*thinks=*/true);
  const auto [output, error] =
      Written([&] { EXPECT_EQ(ErrorOf(chat.Ask("when?", options_)), "OK"); });
  EXPECT_EQ(output, "{\"name\":\"now\",\"arguments\":{}}\n");
  EXPECT_EQ(error, "Hm.\n\n...\n");  // all but the last line end
  ASSERT_EQ(chat.turns().size(), 1u);
  EXPECT_EQ(chat.turns()[0].Waiting()->name, "now");
  EXPECT_THAT(ErrorOf(chat.Ask("so?", options_)),
              HasSubstr("the model waits for the result of the tool now"));
  EXPECT_THAT(ErrorOf(chat.GiveResult("then", "noon", options_)),
              HasSubstr("the result of the tool now, not of then"));
  const auto [answer, nothing] = Written([&] {
    EXPECT_EQ(ErrorOf(chat.GiveResult("now", "noon", options_)), "OK");
  });
  EXPECT_EQ(answer, "Noon.\n");
  EXPECT_EQ(nothing, "");
  EXPECT_EQ(chat.turns()[0].answer, "Noon.");
  EXPECT_THAT(chat.turns()[0].Waiting(), IsNull());
  EXPECT_THAT(ErrorOf(chat.GiveResult("now", "noon", options_)),
              HasSubstr("waits for no result"));

  // The session has read what the template writes: thoughts while the model
  // works on the message, none afterwards.
  const Message ask = {Role::kUser, "when?"};
  Message call = {
      .role = Role::kModel, .thoughts = "Hm.\n", .tool_calls = {{"now", "{}"}}};
  const Message result = {
      .role = Role::kTool, .text = "noon", .tool_name = "now"};
  std::vector<TokenId> read = Rendered({ask, call, result});
  read.push_back(kFirstPiece + 10);
  EXPECT_EQ(TokensOf(chat.session()), read);
  Written([&] { EXPECT_EQ(ErrorOf(chat.Ask("and?", options_)), "OK"); });
  call.thoughts.clear();
  read = Rendered(
      {ask, call, result, {Role::kModel, "Noon."}, {Role::kUser, "and?"}});
  std::vector<TokenId> tokens = TokensOf(chat.session());
  ASSERT_GE(tokens.size(), read.size());
  tokens.resize(read.size());
  EXPECT_EQ(tokens, read);
}

TEST_F(ToolChatTest, ThinkingTurnsOff) {
  Conversation chat = New(/*thinks=*/true);
  EXPECT_TRUE(chat.thinks());
  EXPECT_EQ(ErrorOf(chat.SetThinking(false)), "OK");
  EXPECT_FALSE(chat.thinks());
  const auto [output, error] =
      Written([&] { EXPECT_EQ(ErrorOf(chat.Ask("when?", options_)), "OK"); });
  EXPECT_EQ(output, "{\"name\":\"now\",\"arguments\":{}}\n");
  EXPECT_EQ(error, "");
  options_.hides_thoughts = true;
  EXPECT_EQ(ErrorOf(chat.Undo()), "OK");
  EXPECT_EQ(ErrorOf(chat.SetThinking(true)), "OK");
  const auto [same, quiet] =
      Written([&] { EXPECT_EQ(ErrorOf(chat.Ask("when?", options_)), "OK"); });
  EXPECT_EQ(same, output);
  EXPECT_EQ(quiet, "");
}

TEST_F(ToolChatTest, SavedWithoutThoughts) {
  Conversation chat = New(/*thinks=*/true);
  Written([&] { EXPECT_EQ(ErrorOf(chat.Ask("when?", options_)), "OK"); });
  for (const bool waits : {true, false}) {
    const std::string json = ToJson({"", chat.turns(), options_});
    EXPECT_THAT(json, Not(HasSubstr("Hm.")));
    const auto saved = ParseSavedChat(json, "f", options_);
    ASSERT_EQ(ErrorOf(saved), "OK");
    EXPECT_EQ(ToJson(*saved), json);
    ASSERT_EQ(saved->turns.size(), 1u);
    EXPECT_EQ(saved->turns[0].Waiting() != nullptr, waits);
    EXPECT_EQ(saved->turns[0].steps[0].calls, chat.turns()[0].steps[0].calls);
    if (!waits) {
      EXPECT_EQ(saved->turns[0].steps[0].results[0], "{\"t\": 12}");
    }
    if (waits) {
      Written([&] {
        EXPECT_EQ(ErrorOf(chat.GiveResult("now", "{\"t\": 12}", options_)),
                  "OK");
      });
    }
  }
  EXPECT_EQ(ErrorOf(chat.Replace("", chat.turns())), "OK");
}

TEST(CallLines, EscapesControlCharacters) {
  EXPECT_EQ(CallLines({ToolCall{"f\u009b", "{\"x\":\"\u009b2J\x7F\"}"}}),
            "{\"name\":\"f\\u009b\",\"arguments\":"
            "{\"x\":\"\\u009b2J\\u007f\"}}\n");
}

TEST(CallLines, KeepsWrongArguments) {
  EXPECT_EQ(CallLines({ToolCall{"f", R"({"x":1e999})"}}),
            "{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":1e999}\"}\n");
}

// On a terminal, thoughts are dim, and the answer and its calls are not.
TEST_F(ToolChatTest, ThoughtsAreDim) {
  setenv("NO_COLOR", "", 1);
  Conversation chat = New(/*thinks=*/true);
  std::string error;
  const auto ask = [&](const char* type) {
    return OnTerminal(
        STDOUT_FILENO,
        [&] {
          testing::internal::CaptureStderr();
          EXPECT_EQ(ErrorOf(chat.Ask("when?", options_)), "OK");
          error = testing::internal::GetCapturedStderr();
        },
        type);
  };
  const std::string shown = ask("xterm");
  EXPECT_THAT(shown, StartsWith("\x1b[2mHm."));
  EXPECT_THAT(shown, HasSubstr("...\r\n\x1b[0m{\"name\":\"now\""));
  EXPECT_EQ(error, "");
  EXPECT_EQ(ErrorOf(chat.Undo()), "OK");
  EXPECT_EQ(ask("dumb"),
            "Hm.\r\n\r\n...\r\n{\"name\":\"now\","
            "\"arguments\":{}}\r\n");
  EXPECT_EQ(chat.turns()[0].answer, "");
}

// Thoughts must not control a terminal, with colours or without.
TEST(ThoughtsView, EscapesOnEveryTerminal) {
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) {
    testing::internal::CaptureStdout();  // which may be a terminal itself
    const std::string shown = OnTerminal(stream, [] {
      ThoughtsView view(/*quiet=*/false);
      view.Show("a\x1b[2Jb");
    });
    testing::internal::GetCapturedStdout();
    EXPECT_THAT(shown, HasSubstr("a\\x1b[2Jb")) << stream;
    EXPECT_THAT(shown, Not(HasSubstr("\x1b"))) << stream;
  }
}

}  // namespace
}  // namespace gemma::tools
