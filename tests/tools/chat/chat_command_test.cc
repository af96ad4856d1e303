// Lines of a chat: commands, settings, blocks and completion by Tab.

#include "tools/gemma/chat/chat_command.h"

#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/base/internal.h"
#include "tests/support/error_of.h"
#include "tests/support/tiny_files.h"
#include "tools/gemma/chat/chat_completion.h"
#include "tools/gemma/chat/chat_reader.h"
#include "tools/gemma/chat/chat_settings.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/nearest.h"

namespace gemma::tools {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

ChatLine Parse(std::string_view text) {
  const absl::StatusOr<ChatLine> line = ParseChatLine(text);
  EXPECT_EQ(ErrorOf(line), "OK") << text;
  return line.ok() ? *line : ChatLine();
}

TEST(ChatCommand, OnlySlashBeginsCommand) {
  for (const char* text : {"hello", "a /help", "say //", "", "\\/help"}) {
    EXPECT_EQ(Parse(text).command, ChatCommand::kMessage);
    EXPECT_EQ(Parse(text).argument, text);
  }
  EXPECT_EQ(Parse("//help").command, ChatCommand::kMessage);
  EXPECT_EQ(Parse("//help").argument, "/help");
  EXPECT_EQ(Parse("///").argument, "//");
}

TEST(ChatCommand, FoundByName) {
  for (const ChatCommandInfo& info : ChatCommands()) {
    const bool needs = !info.argument.empty() && info.argument[0] != '[';
    const std::string name(info.name);
    EXPECT_EQ(Parse(needs ? name + " X" : name).command, info.command);
    EXPECT_THAT(ChatHelp(), HasSubstr(name + " "));
  }
  for (const char* name : {"/quit", "/bye"}) {
    EXPECT_EQ(Parse(name).command, ChatCommand::kExit);
  }
  EXPECT_EQ(Parse("/retry").command, ChatCommand::kRegen);
  EXPECT_EQ(Parse("/?").command, ChatCommand::kHelp);
}

TEST(ChatCommand, OtherProgramsWordsLead) {
  const absl::Status status = ParseChatLine("/show license").status();
  EXPECT_EQ(ErrorOf(status), "no command '/show'");
  EXPECT_THAT(CureOf(status), HasSubstr("/model shows the model"));
  AnswerOptions options;
  EXPECT_THAT(CureOf(ChangeSetting("mirostat", "1", &options)),
              HasSubstr("gemma samples by temperature"));
  EXPECT_THAT(CureOf(ChangeSetting("model", "x", &options)),
              HasSubstr("/model NAME"));
}

TEST(ChatCommand, OllamaLinesMeanOurs) {
  struct Line {
    const char* typed;
    ChatCommand command;
    const char* argument;
  };
  for (const Line& line : std::initializer_list<Line>{
           {"/show info", ChatCommand::kModel, ""},
           {"/show system", ChatCommand::kSystem, ""},
           {"/show parameters", ChatCommand::kSet, ""},
           {"/set system Be brief.", ChatCommand::kSystem, "Be brief."},
           {"/set system  a b\nc", ChatCommand::kSystem, "a b\nc"},
           {"/set parameter temperature 0.5", ChatCommand::kSet,
            "temperature 0.5"},
           {"/set parameter num_ctx 8192", ChatCommand::kSet, "context 8192"},
           {"/set parameter num_predict 9", ChatCommand::kSet, "max-tokens 9"},
           {"/set parameter top_k 4", ChatCommand::kSet, "top-k 4"},
           {"/set\tparameter\tnum_ctx\t300", ChatCommand::kSet, "context 300"},
           {"/set num_ctx 300", ChatCommand::kSet, "context 300"},
           {"/set  repeat_penalty  1.1", ChatCommand::kSet,
            "repetition-penalty 1.1"},
           {"/set parameter repeat_last_n 9", ChatCommand::kSet,
            "penalty-window 9"},
           {"/set temp 0", ChatCommand::kSet, "temperature 0"},
           {"/set num_ctx", ChatCommand::kSet, "context"},
           {"/set a_b 1", ChatCommand::kSet, "a_b 1"},
           {"/show\tinfo", ChatCommand::kModel, ""},
           {"/set parameter stop a_b", ChatCommand::kSet, "stop a_b"},
           {"/set parameter", ChatCommand::kSet, ""},
           {"/set quiet", ChatCommand::kSet, "verbose off"},
           {"/set think", ChatCommand::kThink, "on"},
           {"/set nothink", ChatCommand::kThink, "off"},
           {"/set systematic x", ChatCommand::kSet, "systematic x"}}) {
    EXPECT_EQ(Parse(line.typed).command, line.command) << line.typed;
    EXPECT_EQ(Parse(line.typed).argument, line.argument) << line.typed;
  }
}

TEST(ChatCommand, RestIsArgument) {
  EXPECT_EQ(Parse("/save  my file.json").argument, "my file.json");
  EXPECT_EQ(Parse("/system two\nlines").argument, "two\nlines");
  EXPECT_EQ(Parse("/system").argument, "");
  EXPECT_EQ(ErrorOf(ParseChatLine("/undo 3")),
            "/undo: found '3', wanted nothing after it");
  EXPECT_EQ(ErrorOf(ParseChatLine("/load")),
            "/load: has no argument, wanted FILE");
}

TEST(ChatCommand, UnknownSuggestsNearest) {
  EXPECT_THAT(ErrorOf(ParseChatLine("/sve x")),
              AllOf(HasSubstr("'/sve'"), HasSubstr("did you mean /save?")));
  EXPECT_THAT(ErrorOf(ParseChatLine("/re")), HasSubstr("/regen?"));
  EXPECT_THAT(ErrorOf(ParseChatLine("/retyr")), HasSubstr("/retry?"));
  EXPECT_THAT(ErrorOf(ParseChatLine("/bey")), HasSubstr("/bye?"));
  EXPECT_THAT(ErrorOf(ParseChatLine("/far")), Not(HasSubstr("did you mean")));
  for (const char* text : {"/far", "/", "/ help", "/Help"}) {
    EXPECT_THAT(ErrorOf(ParseChatLine(text)),
                AllOf(HasSubstr("no command"), HasSubstr("/help")))
        << text;
  }
}

TEST(ChatCommand, HelpFitsTerminal) {
  std::string line;
  for (const char c : ChatHelp()) {
    if (c != '\n') {
      line += c;
      continue;
    }
    EXPECT_LE(line.size(), 80u) << line;
    line.clear();
  }
  EXPECT_EQ(line, "");
}

TEST(Nearest, DistanceCountsChanges) {
  EXPECT_EQ(EditDistance("", ""), 0u);
  EXPECT_EQ(EditDistance("abc", ""), 3u);
  EXPECT_EQ(EditDistance("", "abc"), 3u);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3u);
  EXPECT_EQ(EditDistance("top-k", "topk"), 1u);
}

TEST(Nearest, IsNearEnough) {
  const std::vector<std::string> names = {"top-k", "top-p", "seed"};
  EXPECT_EQ(DidYouMean("topp", names), "; did you mean top-p?");
  EXPECT_EQ(DidYouMean("top", names), "; did you mean top-k?");
  EXPECT_EQ(DidYouMean("x", names), "");
  EXPECT_EQ(DidYouMean("", names), "");
  EXPECT_EQ(DidYouMean(std::string(100000, 'x'), names), "");
}

// ---------------------------------------------------------------------------
// Settings

std::string Value(const AnswerOptions& options, std::string_view name) {
  for (const auto& [known, value] : Settings(options)) {
    if (known == name) return value;
  }
  return "no such setting";
}

TEST(ChatSettings, NamesEqualFlags) {
  EXPECT_THAT(
      SettingNames(),
      ::testing::IsSupersetOf({"temperature", "top-k", "top-p", "min-p", "seed",
                               "max-tokens", "stop", "speculate", "timeout"}));
}

TEST(ChatSettings, SetAndShown) {
  AnswerOptions options;
  const auto set = [&](const char* name, const char* value) {
    EXPECT_EQ(ErrorOf(ChangeSetting(name, value, &options)), "OK") << name;
    return Value(options, name);
  };
  EXPECT_EQ(set("temperature", "0.5"), "0.5");
  EXPECT_EQ(set("top-k", "7"), "7");
  EXPECT_EQ(set("top-p", "0.25"), "0.25");
  EXPECT_EQ(set("min-p", "0.125"), "0.125");
  EXPECT_EQ(set("seed", "18446744073709551615"), "18446744073709551615");
  EXPECT_EQ(Value(options, "max-tokens"), "");
  EXPECT_EQ(set("max-tokens", "99"), "99");
  EXPECT_EQ(set("speculate", "off"), "off");
  EXPECT_EQ(set("stop", "the end"), R"(["the end"])");
  EXPECT_EQ(set("stop", R"(a\n\\n)"), R"(["a\n\\n"])");
  EXPECT_EQ(set("stop", R"("\n\n")"), R"(["\n\n"])");
  EXPECT_EQ(set("stop", R"(["a", "[b"])"), R"(["a","[b"])");
  EXPECT_EQ(options.sampling.temperature, 0.5f);
  EXPECT_EQ(options.sampling.top_k, 7u);
  EXPECT_EQ(options.max_tokens, 99u);
  EXPECT_THAT(options.stop, ElementsAre("a", "[b"));
  EXPECT_EQ(set("stop", "[]"), "[]");
}

TEST(ChatSettings, ErrorsChangeNothing) {
  AnswerOptions options;
  const auto error = [&](const char* name, const char* value) {
    return ErrorOf(ChangeSetting(name, value, &options));
  };
  EXPECT_EQ(error("temperature", "-1"), "temperature is -1, wanted 0 or more");
  EXPECT_THAT(error("temperature", "warm"),
              AllOf(HasSubstr("temperature"), HasSubstr("'warm'")));
  EXPECT_THAT(error("top-k", "1.5"),
              AllOf(HasSubstr("top-k"), HasSubstr("'1.5'")));
  EXPECT_THAT(error("top-p", "2"), HasSubstr("top_p is 2"));
  EXPECT_THAT(error("max-tokens", "0"), HasSubstr("'0'"));
  EXPECT_THAT(error("speculate", "maybe"),
              AllOf(HasSubstr("'maybe'"), HasSubstr("off|auto")));
  EXPECT_THAT(error("stop", ""), HasSubstr("stop"));
  for (const char* stop : {"[1]", "[\"a\"", "\"a", "[[\"a\"]]", "[\"\"]"}) {
    EXPECT_THAT(error("stop", stop), HasSubstr("stop")) << stop;
  }
  const std::string deep =
      std::string(1000000, '[') + std::string(1000000, ']');
  EXPECT_THAT(error("stop", deep.c_str()), HasSubstr("stop"));
  EXPECT_THAT(error("temprature", "1"),
              AllOf(HasSubstr("'temprature'"), HasSubstr("temperature?")));
  for (const char* name : {"", "help", "-t", "stop=x", "temperature=3"}) {
    EXPECT_THAT(error(name, "1"), HasSubstr("no setting")) << name;
  }
  EXPECT_EQ(Settings(options), Settings(AnswerOptions()));
}

TEST(ChatSettings, OneIsSetBack) {
  AnswerOptions first;
  first.sampling.temperature = 0.5;
  first.stop = {"x"};
  AnswerOptions options;
  options.max_tokens = 3;
  for (const std::string& name : SettingNames()) {
    EXPECT_EQ(ErrorOf(CopySetting(name, first, &options)), "OK") << name;
  }
  EXPECT_EQ(Settings(options), Settings(first));
  EXPECT_THAT(ErrorOf(CopySetting("x", first, &options)),
              HasSubstr("no setting 'x'"));
}

// ---------------------------------------------------------------------------
// Input

TEST(BlockText, IsBetweenTheFences) {
  EXPECT_EQ(BlockText("\"\"\"a\nb\"\"\""), "a\nb");
  // Only the line ends next to the fences are not part of the text.
  EXPECT_EQ(BlockText("\"\"\"\n  a\nb \n\"\"\" "), "  a\nb ");
  EXPECT_EQ(BlockText("\"\"\"\r\na\r\n\n\"\"\""), "a\r\n");
  EXPECT_EQ(BlockText("\"\"\"\"\"\""), "");
  EXPECT_EQ(BlockText("\"\"\"say \"\"\" now\"\"\""), "say \"\"\" now");
  for (const char* open : {"\"\"\"", "\"\"\"\"", "\"\"\"\"\"", "\"\"\"a",
                           "\"\"\"a\n\"\"", "\"\"\"a\"\"\"b"}) {
    EXPECT_EQ(BlockText(open), std::nullopt) << open;
  }
}

class CompletionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = TestDirectory();
    for (const char* name : {"notes.txt", "notes.md", "one two", ".hidden"}) {
      WriteFile(folder_ + "/" + name, "x");
    }
    std::filesystem::create_directory(folder_ + "/sub");
    WriteFile(folder_ + "/sub/caf\u00E9", "x");
    WriteFile(folder_ + "/sub/caf\u00E8", "x");
  }

  std::string Insert(const std::string& line) { return Complete(line).insert; }

  std::string folder_;
};

TEST_F(CompletionTest, OfCommands) {
  EXPECT_EQ(Insert("/sa"), "ve ");
  EXPECT_EQ(Insert("/st"), "ats ");
  EXPECT_EQ(Insert("/s"), "");
  EXPECT_THAT(Complete("/s").choices,
              ElementsAre("/save", "/set", "/stats", "/system"));
  EXPECT_EQ(Complete("/").choices.size(), ChatCommands().size());
  for (const char* line : {"", "hello", "//sa", "/x", "/undo x", "say /sa"}) {
    EXPECT_EQ(Insert(line), "") << line;
    EXPECT_THAT(Complete(line).choices, IsEmpty()) << line;
  }
}

TEST_F(CompletionTest, OfSettings) {
  EXPECT_EQ(Insert("/set te"), "mperature ");
  EXPECT_EQ(Insert("/set top"), "-");
  EXPECT_EQ(Insert("/set top-k 1"), "");
}

TEST_F(CompletionTest, OfFiles) {
  for (const char* command : {"/read ", "/save ", "/load "}) {
    const std::string line = command + folder_ + "/";
    EXPECT_EQ(Insert(line + "n"), "otes.");
    EXPECT_EQ(Insert(line + "notes.m"), "d");
    EXPECT_THAT(Complete(line + "notes.").choices,
                ElementsAre("notes.md", "notes.txt"));
    EXPECT_EQ(Insert(line + "one "), "two");
    EXPECT_EQ(Insert(line + "s"), "ub/");
    EXPECT_EQ(Insert(line + ".h"), "idden");
    EXPECT_THAT(Complete(line).choices,
                ElementsAre("notes.md", "notes.txt", "one two", "sub/"));
    // Never inserts half a character.
    EXPECT_EQ(Insert(line + "sub/c"), "af");
    EXPECT_EQ(Insert(line + "sub/caf"), "");
    EXPECT_EQ(Insert(line + "nothing/"), "");
  }
}

TEST_F(CompletionTest, TheTildeIsHome) {
  const char* const old = std::getenv("HOME");
  const std::string home = old == nullptr ? "" : old;
  setenv("HOME", folder_.c_str(), 1);
  EXPECT_EQ(Insert("/read ~/one"), " two");
  EXPECT_EQ(ExpandHome("~/x"), folder_ + "/x");
  EXPECT_EQ(ExpandHome("~x/y"), "~x/y");
  EXPECT_EQ(ExpandHome("a/~"), "a/~");
  setenv("HOME", home.c_str(), 1);
}

}  // namespace
}  // namespace gemma::tools
