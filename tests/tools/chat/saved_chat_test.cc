// Saved conversations: valid files and others.

#include "tools/gemma/chat/saved_chat.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/base/internal.h"
#include "tests/support/error_of.h"
#include "tests/support/tiny_files.h"
#include "tools/gemma/chat/chat_settings.h"
#include "tools/gemma/io/files.h"

namespace gemma::tools {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

SavedChat Example() {
  SavedChat chat;
  chat.system = "Be \"brief\".\n\x01";
  chat.turns = {{"one\ntwo", "caf\u00E9 \U0001F600"}, {"", ""}};
  chat.settings.sampling.temperature = 0.5f;
  chat.settings.sampling.top_k = 12;
  chat.settings.sampling.seed = 18446744073709551615u;
  chat.settings.max_tokens = 77;
  chat.settings.stop = {"\n\n", "END", "1"};
  chat.settings.speculate = "off";
  return chat;
}

void ExpectEqual(const SavedChat& a, const SavedChat& b) {
  EXPECT_EQ(a.system, b.system);
  ASSERT_EQ(a.turns.size(), b.turns.size());
  for (size_t i = 0; i < a.turns.size(); ++i) {
    EXPECT_EQ(a.turns[i].message, b.turns[i].message);
    EXPECT_EQ(a.turns[i].answer, b.turns[i].answer);
  }
  EXPECT_EQ(Settings(a.settings), Settings(b.settings));
}

std::string Error(std::string_view json) {
  return ErrorOf(ParseSavedChat(json, "F", {}));
}

// A file with format, version and these members.
std::string With(std::string_view members) {
  return absl::StrCat(R"({"format": "gemma chat", "version": 1)",
                      members.empty() ? "" : ", ", members, "}");
}

TEST(SavedChat, ReadsWhatItWrote) {
  const absl::StatusOr<SavedChat> read =
      ParseSavedChat(ToJson(Example()), "F", {});
  ASSERT_EQ(ErrorOf(read), "OK");
  ExpectEqual(*read, Example());
  const absl::StatusOr<SavedChat> empty =
      ParseSavedChat(ToJson(SavedChat()), "F", {});
  ASSERT_EQ(ErrorOf(empty), "OK");
  ExpectEqual(*empty, SavedChat());
}

TEST(SavedChat, HasNumbersAsNumbers) {
  EXPECT_THAT(
      ToJson(Example()),
      AllOf(HasSubstr("\"temperature\": 0.5"), HasSubstr("\"max-tokens\": 77"),
            HasSubstr("\"seed\": 18446744073709551615"),
            HasSubstr("\"speculate\": \"off\"")));
}

TEST(SavedChat, MissingKeysChangeNothing) {
  AnswerOptions settings;
  settings.max_tokens = 5;
  settings.sampling.top_k = 3;
  const absl::StatusOr<SavedChat> chat = ParseSavedChat(
      With(R"("settings": {"top-k": "4"}, "other": [1])"), "F", settings);
  ASSERT_EQ(ErrorOf(chat), "OK");
  EXPECT_EQ(chat->settings.max_tokens, 5u);
  EXPECT_EQ(chat->settings.sampling.top_k, 4u);
  EXPECT_EQ(chat->system, "");
  EXPECT_THAT(chat->turns, IsEmpty());
}

TEST(SavedChat, KeepsUnorderedResults) {
  SavedChat chat;
  chat.turns = {
      {.message = "x",
       .answer = "",
       .steps = {{.calls = {{"f", "{}"}, {"g", "{}"}, {"f", "{}"}, {"h", "{}"}},
                  .results = {std::nullopt, "b", std::nullopt, "d"}}}}};
  const std::string json = ToJson(chat);
  const absl::StatusOr<SavedChat> read = ParseSavedChat(json, "F", {});
  ASSERT_EQ(ErrorOf(read), "OK");
  ASSERT_EQ(read->turns.size(), 1u);
  ASSERT_EQ(read->turns[0].steps.size(), 1u);
  EXPECT_EQ(read->turns[0].steps[0].results, chat.turns[0].steps[0].results);
  EXPECT_EQ(ToJson(*read), json);
  EXPECT_THAT(Error(With(R"("messages": [{"role": "user", "text": "x"},
                {"role": "model", "text": "", "tool_calls":
                 [{"name": "f", "arguments": "{}"},
                  {"name": "g", "arguments": "{}"}]},
                {"role": "tool", "name": "g", "text": "1"},
                {"role": "tool", "name": "g", "text": "2"}])")),
              HasSubstr("wanted the tool of a call without a result"));
}

TEST(SavedChatHostile, OtherFilesAreRefused) {
  for (const char* text :
       {"", "[]", "1", "null", "hello", "{", "{}", R"({"format": "gemma"})"}) {
    EXPECT_THAT(Error(text), HasSubstr("F")) << text;
    EXPECT_NE(Error(text), "OK") << text;
  }
  EXPECT_EQ(Error(R"({"format": "gemma chat", "version": 2})"),
            "F: 'version' is 2, wanted 1");
  EXPECT_EQ(Error(R"({"format": "other", "version": 1})"),
            "F: 'format' is the string 'other', wanted 'gemma chat'");
}

TEST(SavedChatHostile, ErrorsNameTheKey) {
  const std::pair<const char*, const char*> cases[] = {
      {R"("system": 1)", "'system'"},
      {R"("messages": {})", "'messages'"},
      {R"("messages": [1])", "messages"},
      {R"("messages": [{"role": "user"}])", "text"},
      {R"("messages": [{"role": 1, "text": "x"}])", "role"},
      {R"("messages": [{"role": "model", "text": "x"}])", "wanted 'user'"},
      {R"("messages": [{"role": "user", "text": "x"}])", "answer for every"},
      {R"("messages": [{"role": "user", "text": "x"},
                       {"role": "user", "text": "x"}])",
       "wanted 'model'"},
      {R"("messages": [{"role": "user", "text": "\ud800"}])", "F"},
      {R"("settings": [])", "'settings'"},
      {R"("settings": {"x": 1})", "no setting 'x'"},
      {R"("settings": {"temperature": -1})", "temperature is -1"},
      {R"("settings": {"temperature": {}})", "temperature"},
      {R"("settings": {"temperature": null})", "temperature"},
      {R"("settings": {"top-k": 1.5})", "'1.5'"},
      {R"("settings": {"top-k": 1e30})", "top-k"},
      {R"("settings": {"seed": -2})", "seed"},
      {R"("settings": {"stop": [1]})", "stop"},
      {R"("settings": {"stop": [""]})", "stop"},
      {R"("settings": {"speculate": "on"})", "'on'"},
      {R"("system": "a", "system": "b")", "system"},
  };
  for (const auto& [members, says] : cases) {
    EXPECT_THAT(Error(With(members)), AllOf(HasSubstr("F"), HasSubstr(says)))
        << members;
    EXPECT_NE(Error(With(members)), "OK") << members;
  }
}

TEST(SavedChatHostile, CutAndChangedFiles) {
  const std::string good = ToJson(Example());
  for (size_t size = 0; size + 2 < good.size(); ++size) {  // "}\n" at the end
    EXPECT_NE(Error(good.substr(0, size)), "OK") << size;
  }
  for (size_t i = 0; i < good.size(); ++i) {
    for (const char mask : {'\x01', '\x20', '\x7F', '\xFF'}) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ mask);
      const absl::StatusOr<SavedChat> chat = ParseSavedChat(bad, "F", {});
      if (!chat.ok()) continue;
      // 0 if the key "messages" itself changed.
      EXPECT_THAT(chat->turns.size(), AnyOf(0u, 2u));
    }
  }
}

TEST(SavedChatHostile, NestedAndManyValues) {
  const size_t many = 2'000'000;
  EXPECT_NE(Error(std::string(many, '[')), "OK");
  EXPECT_NE(
      Error(With("\"x\": " + std::string(1000, '[') + std::string(1000, ']'))),
      "OK");
  std::string list = "\"messages\": [1";
  for (size_t i = 0; i < many; ++i) list += ",1";
  EXPECT_NE(Error(With(list + "]")), "OK");
}

TEST(SavedChat, IsReplacedByAnother) {
  const std::string path = TestDirectory() + "/chat.json";
  SavedChat chat = Example();
  ASSERT_EQ(ErrorOf(SaveChat(path, chat)), "OK");
  chat.turns.pop_back();
  ASSERT_EQ(ErrorOf(SaveChat(path, chat)), "OK");
  const absl::StatusOr<SavedChat> read = LoadChat(path, {});
  ASSERT_EQ(ErrorOf(read), "OK");
  ExpectEqual(*read, chat);
  WriteFile(path, "");
  EXPECT_EQ(ErrorOf(SaveChat(path, chat)), "OK");
}

TEST(SavedChat, ReplacesNoOtherFile) {
  const std::string folder = TestDirectory();
  const std::string path = folder + "/notes.txt";
  WriteFile(path, "important");
  EXPECT_THAT(ErrorOf(SaveChat(path, Example())),
              AllOf(HasSubstr(path), HasSubstr("not a saved chat")));
  EXPECT_EQ(ReadFile(path).value(), "important");
  EXPECT_THAT(ErrorOf(SaveChat(folder, Example())), HasSubstr(folder));
  EXPECT_NE(ErrorOf(SaveChat(folder + "/no/such", Example())), "OK");
  // Nothing half-written is left.
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    EXPECT_EQ(entry.path().filename(), "notes.txt");
    ++files;
  }
  EXPECT_EQ(files, 1u);
}

TEST(SavedChatHostile, WhatIsNoFile) {
  const std::string folder = TestDirectory();
  const std::string pipe = folder + "/pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  for (const std::string& path :
       {folder, pipe, folder + "/none", std::string("/dev/zero")}) {
    EXPECT_THAT(ErrorOf(LoadChat(path, {})), HasSubstr(path));
  }
}

}  // namespace
}  // namespace gemma::tools
