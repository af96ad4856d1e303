// Hints on words of other tools name only commands and options that exist.

#include <CLI/CLI.hpp>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "tools/gemma/cli/command_tree.h"
#include "tools/gemma/cli/common_options.h"
#include "tools/gemma/words/command_habits.h"
#include "tools/gemma/words/habits.h"
#include "tools/gemma/words/hint_fit.h"
#include "tools/gemma/words/unknown_words.h"

namespace gemma::tools {
namespace {

// What a sentence says of gemma itself: "gemma computes on the CPU".
const std::set<std::string_view> kVerbs = {
    "computes", "has",     "may",      "prints",  "reads",
    "runs",     "samples", "searches", "uploads", "writes"};

class Hints : public testing::Test {
 protected:
  // The command of a word, or nullptr.
  const CLI::App* Find(std::string_view word) const {
    for (const CLI::App* command : root_->get_subcommands({})) {
      if (command->get_name() == word) return command;
    }
    return nullptr;
  }

  // Expects that a hint names commands that exist, and options that they have,
  // or `own` before any command is named (nullptr: not known).
  void ExpectTrue(std::string_view hint, const CLI::App* own) const {
    const CLI::App* command = own;
    bool is_after_gemma = false;
    for (std::string_view word : absl::StrSplit(hint, ' ')) {
      const bool ends = absl::EndsWith(word, ";") || absl::EndsWith(word, ":");
      const size_t begin = word.find_first_not_of("(");
      const size_t end = word.find_last_not_of("),;:");
      if (begin == word.npos || end == word.npos) continue;
      word = word.substr(begin, end + 1 - begin);
      if (is_after_gemma) {
        command = word == "COMMAND" || kVerbs.count(word) > 0 ? own
                  : word == "help" || word == "--help" || word == "--version"
                      ? root_.get()
                      : Find(word);
        if (command == nullptr) {
          EXPECT_TRUE(word == "COMMAND" || kVerbs.count(word) > 0) << hint;
        }
      } else if (absl::StartsWith(word, "-") && command != nullptr) {
        EXPECT_NE(command->get_option_no_throw(std::string(word)), nullptr)
            << command->get_name() << " " << word << " in: " << hint;
      }
      is_after_gemma = word == "gemma";
      if (ends || word == "|") command = word == "|" ? nullptr : own;
    }
  }

  Action action_;
  CommonOptions common_;
  const std::unique_ptr<CLI::App> root_ = MakeCommandTree(&action_, &common_);
};

TEST_F(Hints, OnCommandsAreTrue) {
  for (const std::string_view hint : AllCommandHints()) {
    ExpectTrue(hint, nullptr);
  }
}

TEST_F(Hints, OnOptionsAreTrue) {
  std::set<std::string> given;
  for (const CLI::App* command : root_->get_subcommands({})) {
    for (const std::string& word : WordsOfOptionHints()) {
      if (command->get_option_no_throw(word) != nullptr) continue;
      std::string hint = HintOn(*command, word);
      // An explanation of an option that the command lacks
      const size_t explained = hint.find(" (elsewhere, ");
      ExpectTrue(hint.substr(0, explained), command);
      given.insert(std::move(hint));
    }
  }
  for (const std::string_view hint : AllOptionHints()) {
    if (absl::StrContains(hint, "COMMAND")) continue;
    bool is_given = given.count(std::string(hint)) > 0;
    for (const std::string& text : given) {
      is_given = is_given || absl::EndsWith(text, absl::StrCat(" has ", hint));
    }
    EXPECT_TRUE(is_given) << hint;
  }
}

TEST_F(Hints, FitTheirCommand) {
  EXPECT_EQ(HintOn(*Find("run"), "--topK"), "gemma run has --top-k");
  EXPECT_EQ(HintOn(*Find("run"), "-temp"), "gemma run has --temperature");
  EXPECT_EQ(HintOn(*Find("list"), "--temp"), "");
  EXPECT_EQ(HintOn(*Find("list"), "--mirostat"), "");
  EXPECT_EQ(HintOn(*Find("quantize"), "--dry-base"), "");
  EXPECT_EQ(HintOn(*Find("embed"), "-p"),
            "the text is an argument: gemma embed MODEL \"TEXT\"");
  // The options of /set are not those of the command line.
  EXPECT_EQ(OptionHint("--num-ctx", "chat", {}), "");
  EXPECT_EQ(OptionHint("--perf", "chat", {}), "");
  EXPECT_EQ(OptionHint("--mirostat", "chat", {}),
            "gemma samples by temperature, top-k, top-p, min-p, typical-p and "
            "penalties");
}

TEST(OptionsOfHints, EndAtGemma) {
  EXPECT_EQ(OwnOptionsIn("gemma writes no log: -v prints more"),
            std::vector<std::string>{"-v"});
  EXPECT_EQ(OwnOptionsIn("gemma run --batch answers (--x)"),
            std::vector<std::string>());
  EXPECT_EQ(OwnOptionsIn("--force (elsewhere, -f names a file)"),
            std::vector<std::string>{"--force"});
}

}  // namespace
}  // namespace gemma::tools
