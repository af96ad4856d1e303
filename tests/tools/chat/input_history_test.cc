// The history of typed lines, in files.

#include "tools/gemma/chat/input_history.h"

#include <histedit.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/base/internal.h"
#include "tests/support/error_of.h"
#include "tests/support/tiny_files.h"
#include "tools/gemma/io/files.h"

namespace gemma::tools {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// The entries, oldest first.
std::vector<std::string> Entries(const InputHistory& input) {
  std::vector<std::string> entries;
  HistEvent event;
  for (int more = history(input.get(), &event, H_LAST); more >= 0;
       more = history(input.get(), &event, H_PREV)) {
    entries.emplace_back(event.str);
  }
  return entries;
}

std::vector<std::string> EntriesOf(const std::string& path) {
  InputHistory input;
  EXPECT_EQ(ErrorOf(input.Open(path)), "OK");
  return Entries(input);
}

TEST(InputHistory, IsReadAgain) {
  const std::string folder = TestDirectory();
  const std::string path = folder + "/a/b/history";
  InputHistory input;
  ASSERT_EQ(ErrorOf(input.Open(path)), "OK");
  for (const char* text :
       {"one", "two\nlines \\ \"", "caf\u00E9", "caf\u00E9"}) {
    EXPECT_EQ(ErrorOf(input.Add(text)), "OK");
  }
  EXPECT_THAT(EntriesOf(path),
              ElementsAre("one", "two\nlines \\ \"", "caf\u00E9"));
  // For the user alone.
  for (const char* name : {"/a", "/a/b", "/a/b/history"}) {
    struct stat info = {};
    ASSERT_EQ(stat((folder + name).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 077, 0u) << name;
  }
  // Nothing half-written is left.
  for (const auto& entry :
       std::filesystem::directory_iterator(folder + "/a/b")) {
    EXPECT_EQ(entry.path().filename(), "history");
  }
}

TEST(InputHistory, TwoProcessesShareFile) {
  const std::string path = TestDirectory() + "/history";
  InputHistory first;
  InputHistory second;
  ASSERT_TRUE(first.Open(path).ok() && second.Open(path).ok());
  ASSERT_TRUE(first.Add("one").ok());
  ASSERT_TRUE(second.Add("two").ok());
  ASSERT_TRUE(first.Add("three").ok());
  EXPECT_THAT(EntriesOf(path), ElementsAre("one", "two", "three"));
  EXPECT_THAT(Entries(first), ElementsAre("one", "three"));
}

TEST(InputHistory, IsLimited) {
  const std::string path = TestDirectory() + "/history";
  std::string file = "_HiStOrY_V2_\n";
  for (int i = 0; i < 2 * InputHistory::kMaxEntries; ++i) {
    file += "entry" + std::to_string(i) + "\n";
  }
  WriteFile(path, file);
  InputHistory input;
  ASSERT_TRUE(input.Open(path).ok());
  ASSERT_TRUE(input.Add("last").ok());
  ASSERT_TRUE(
      input.Add(std::string(InputHistory::kMaxEntryBytes + 1, 'x')).ok());
  const std::vector<std::string> entries = EntriesOf(path);
  EXPECT_EQ(entries.size(), static_cast<size_t>(InputHistory::kMaxEntries));
  EXPECT_EQ(entries.back(), "last");
}

TEST(InputHistory, LeavesOtherFilesAlone) {
  const std::string folder = TestDirectory();
  const std::string path = folder + "/notes";
  WriteFile(path, "not a history\n");
  InputHistory input;
  EXPECT_THAT(ErrorOf(input.Open(path)),
              AllOf(HasSubstr(path), HasSubstr("not a history")));
  EXPECT_EQ(ErrorOf(input.Add("one")), "OK");  // in memory
  EXPECT_THAT(Entries(input), ElementsAre("one"));
  EXPECT_EQ(ReadFile(path).value(), "not a history\n");
  EXPECT_NE(ErrorOf(InputHistory().Open(folder)), "OK");
  EXPECT_NE(ErrorOf(InputHistory().Open(path + "/history")), "OK");
}

// The sanitizers are the assertion.
TEST(InputHistory, SurvivesHostileFiles) {
  const std::string path = TestDirectory() + "/history";
  for (const std::string& entries :
       {std::string("\\\n\\0\\777\\M\n"), std::string("\xFF\xFE\n\x01\n"),
        std::string("no end"), std::string(1 << 20, 'x'),
        std::string(5000, '\n'), std::string("a\0b\n", 4)}) {
    WriteFile(path, "_HiStOrY_V2_\n" + entries);
    InputHistory input;
    input.Open(path).IgnoreError();
    input.Add("one").IgnoreError();
    EXPECT_FALSE(Entries(input).empty());
  }
}

TEST(InputHistory, PathFollowsTheEnvironment) {
  const char* const old = std::getenv("HOME");
  const std::string home = old == nullptr ? "" : old;
  setenv("HOME", "/h", 1);
  unsetenv("GEMMA_HISTORY");
  setenv("XDG_STATE_HOME", "/s", 1);
  EXPECT_EQ(HistoryPath(), "/s/gemma/history");
  setenv("XDG_STATE_HOME", "relative", 1);
  EXPECT_EQ(HistoryPath(), "/h/.local/state/gemma/history");
  unsetenv("XDG_STATE_HOME");
  EXPECT_EQ(HistoryPath(), "/h/.local/state/gemma/history");
  setenv("GEMMA_HISTORY", "", 1);
  EXPECT_EQ(HistoryPath(), "");
  setenv("GEMMA_HISTORY", "/f", 1);
  EXPECT_EQ(HistoryPath(), "/f");
  unsetenv("GEMMA_HISTORY");
  unsetenv("HOME");
  EXPECT_EQ(HistoryPath(), "");
  setenv("HOME", home.c_str(), 1);
}

}  // namespace
}  // namespace gemma::tools
