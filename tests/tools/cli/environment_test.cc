// Variables that set options, for every option of every command.

#include "tools/gemma/cli/environment.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/base/internal.h"
#include "tools/gemma/cli/command_tree.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/io/errors.h"

namespace gemma::tools {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

// Sets variables until the test ends. First removes the caller's variables,
// because they would set options too.
class Variables {
 public:
  Variables() {
    std::vector<std::string> others;
    for (char** entry = environ; *entry != nullptr; ++entry) {
      const std::string_view name = *entry;
      if (name.starts_with("GEMMA_") &&
          !name.starts_with("GEMMA_TEST_MODEL=")) {
        others.emplace_back(name.substr(0, name.find('=')));
      }
    }
    for (const std::string& name : others) unsetenv(name.c_str());
  }
  ~Variables() {
    for (const std::string& name : names_) unsetenv(name.c_str());
  }
  void Set(const std::string& name, const std::string& value) {
    setenv(name.c_str(), value.c_str(), 1);
    names_.insert(name);
  }

 private:
  std::set<std::string> names_;
};

// Parses one command, with a command tree of its own.
class Parser {
 public:
  explicit Parser(const std::string& command)
      : command_(*tree_->get_subcommand(command)), environment_(command_) {
    environment_.Relax();
    tree_->parse_complete_callback([this] { environment_.Apply(); });
  }

  // Returns "", "help", or the error. `words`: the words after the command.
  std::string Parse(const std::vector<std::string>& words) {
    std::vector<std::string> reversed(words.rbegin(), words.rend());
    reversed.push_back(command_.get_name());
    try {
      tree_->parse(reversed);
    } catch (const CLI::CallForHelp&) {
      return "help";
    } catch (const CLI::ParseError& error) {
      return error.what();
    }
    return "";
  }

  CLI::App& command() { return command_; }
  std::vector<std::string> Found(const std::string& option) {
    return command_.get_option(option)->results();
  }
  absl::Status Explain(absl::Status status) const {
    return environment_.Explain(std::move(status));
  }

 private:
  Action action_;
  CommonOptions common_;
  std::unique_ptr<CLI::App> tree_ = MakeCommandTree(&action_, &common_);
  CLI::App& command_;
  Environment environment_;
};

std::vector<std::string> Commands() {
  Action action;
  CommonOptions common;
  const std::unique_ptr<CLI::App> tree = MakeCommandTree(&action, &common);
  std::vector<std::string> names;
  for (const CLI::App* command : tree->get_subcommands({})) {
    names.push_back(command->get_name());
  }
  return names;
}

bool IsFlag(const CLI::Option& option) {
  return option.get_items_expected_max() == 0;
}

// Returns one of two words that the option accepts; `which` is 0 or 1.
std::string GoodWord(const CLI::Option& option, int which) {
  const std::string type = option.get_type_name();
  if (IsFlag(option)) return "1";
  if (type.find('|') != std::string::npos) {
    const std::vector<std::string> choices = absl::StrSplit(type, '|');
    return which == 0 ? choices.front() : choices.back();
  }
  // Any other word would be the prompt.
  if (option.get_positional()) return which == 0 ? "a.gguf" : "b.gguf";
  if (type == "SIZE") return which == 0 ? "3MB" : "2MB";
  return which == 0 ? "3" : "2";
}

// Returns options that have a variable and that do not exclude each other: all
// but --verbose, which excludes --quiet, and its like.
std::vector<const CLI::Option*> OptionsWithVariable(const CLI::App& command) {
  std::vector<const CLI::Option*> options;
  for (const CLI::Option* option : command.get_options({})) {
    const std::set<CLI::Option*> excludes = option->get_excludes();
    const bool is_excluded = std::any_of(
        options.begin(), options.end(), [&](const CLI::Option* other) {
          return excludes.contains(const_cast<CLI::Option*>(other));
        });
    if (!VariableOf(*option).empty() && !is_excluded) options.push_back(option);
  }
  return options;
}

// Returns words for the required arguments that have no variable.
std::vector<std::string> NeededArguments(const CLI::App& command) {
  std::vector<std::string> words;
  for (const CLI::Option* option : command.get_options({})) {
    if (option->get_required() && VariableOf(*option).empty()) {
      words.push_back(GoodWord(*option, 0));
    }
  }
  return words;
}

class EveryCommand : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Commands, EveryCommand,
                         ::testing::ValuesIn(Commands()), [](const auto& test) {
                           return absl::StrReplaceAll(test.param, {{"-", "_"}});
                         });

TEST_P(EveryCommand, EveryOptionHasVariable) {
  Parser parser(GetParam());
  std::set<std::string> names;
  for (const CLI::Option* option : parser.command().get_options({})) {
    const std::string variable = VariableOf(*option);
    if (variable.empty()) {
      EXPECT_TRUE(option->get_positional() || option->check_lname("help") ||
                  option->check_lname("help-all") ||
                  option->check_lname("output"))
          << option->get_name();
      continue;
    }
    EXPECT_THAT(variable, ::testing::MatchesRegex("GEMMA_[A-Z0-9_]+"));
    EXPECT_TRUE(names.insert(variable).second) << variable;
    // Variables that mean something else.
    for (std::string_view other : {"GEMMA_MODELS", "GEMMA_HISTORY"}) {
      EXPECT_NE(variable, other);
    }
  }
}

TEST_P(EveryCommand, EachVariableSetsOption) {
  Variables variables;
  std::vector<std::string> needed;
  {
    Parser parser(GetParam());
    needed = NeededArguments(parser.command());
    for (const CLI::Option* option : OptionsWithVariable(parser.command())) {
      variables.Set(VariableOf(*option), GoodWord(*option, 0));
    }
  }
  Parser parser(GetParam());
  ASSERT_EQ(parser.Parse(needed), "");
  for (const CLI::Option* option : OptionsWithVariable(parser.command())) {
    const std::string word = IsFlag(*option) ? "true" : GoodWord(*option, 0);
    EXPECT_THAT(option->results(), ElementsAre(word)) << option->get_name();
  }
}

TEST_P(EveryCommand, TheCommandLineWins) {
  Variables variables;
  std::vector<std::string> words;
  {
    Parser parser(GetParam());
    words = NeededArguments(parser.command());
    for (const CLI::Option* option : OptionsWithVariable(parser.command())) {
      // A wrong value, which must not be read.
      variables.Set(VariableOf(*option), IsFlag(*option) ? "maybe" : "?");
      if (!option->get_positional()) {
        words.push_back("--" + option->get_lnames()[0]);
      }
      if (!IsFlag(*option)) words.push_back(GoodWord(*option, 1));
    }
  }
  Parser parser(GetParam());
  ASSERT_EQ(parser.Parse(words), "");
  for (const CLI::Option* option : OptionsWithVariable(parser.command())) {
    if (IsFlag(*option)) continue;
    EXPECT_THAT(option->results(), ElementsAre(GoodWord(*option, 1)))
        << option->get_name();
  }
}

// --help works with a bad value, too.
TEST_P(EveryCommand, BadValueNamesVariable) {
  // With the variables of options without which a variable does not count.
  std::map<std::string, std::map<std::string, std::string>> wrong;
  {
    Parser parser(GetParam());
    for (const CLI::Option* option : OptionsWithVariable(parser.command())) {
      const std::string type = option->get_type_name();
      // Options that do not accept every text.
      const bool checks = IsFlag(*option) || type == "N" || type == "X" ||
                          type == "N[,N...]" ||
                          (type.find('|') != std::string::npos &&
                           type.find("FILE") == std::string::npos);
      if (!checks) continue;
      auto& needed = wrong[VariableOf(*option)];
      for (const CLI::Option* other : option->get_needs()) {
        needed[VariableOf(*other)] = GoodWord(*other, 0);
      }
    }
  }
  for (const auto& [variable, needed] : wrong) {
    Variables variables;
    for (const auto& [other, word] : needed) variables.Set(other, word);
    variables.Set(variable, "no such");
    variables.Set("GEMMA_MODEL", "m");
    Parser parser(GetParam());
    // Variables are read after the check for required options: skip that check.
    for (CLI::Option* option : parser.command().get_options({})) {
      option->required(false);
    }
    EXPECT_THAT(parser.Parse({}), StartsWith(variable + ": 'no such' is not "));
    EXPECT_EQ(Parser(GetParam()).Parse({"--help"}), "help");
  }
}

TEST(Environment, FlagsTakeFourWords) {
  for (const auto& [word, is_on] :
       {std::pair{"1", true}, {"true", true}, {"0", false}, {"false", false}}) {
    Variables variables;
    variables.Set("GEMMA_RAW", word);
    Parser parser("run");
    EXPECT_EQ(parser.Parse({"MODEL"}), "");
    EXPECT_EQ(parser.command().get_option("--raw")->count(), is_on ? 1u : 0u);
  }
}

TEST(Environment, EmptyIsUnset) {
  Variables variables;
  variables.Set("GEMMA_TOP_K", "");
  variables.Set("GEMMA_STOP", "");
  variables.Set("GEMMA_MODEL", "");
  Parser parser("run");
  EXPECT_EQ(parser.Parse({"MODEL"}), "");
  EXPECT_THAT(parser.Found("--top-k"), IsEmpty());
  EXPECT_THAT(parser.Found("--stop"), IsEmpty());
  EXPECT_THAT(Parser("run").Parse({}), HasSubstr("MODEL"));
}

TEST(Environment, OneValuePerLine) {
  Variables variables;
  variables.Set("GEMMA_STOP", "one two\n[END]\n");
  Parser parser("run");
  EXPECT_EQ(parser.Parse({"MODEL"}), "");
  EXPECT_THAT(parser.Found("--stop"), ElementsAre("one two", "[END]"));
}

TEST(Environment, IgnoresOtherCommandsVariables) {
  Variables variables;
  variables.Set("GEMMA_CONTEXT_POLICY", "no such");
  EXPECT_EQ(Parser("run").Parse({"MODEL"}), "");
  EXPECT_THAT(Parser("chat").Parse({"MODEL"}),
              HasSubstr("GEMMA_CONTEXT_POLICY"));
}

TEST(Environment, SingleArgumentIsPrompt) {
  Variables variables;
  variables.Set("GEMMA_MODEL", "variable.gguf");
  struct Case {
    std::vector<std::string> words;
    std::string model, prompt;
  };
  for (const Case& c : std::vector<Case>{
           {{"Once upon a time"}, "variable.gguf", "Once upon a time"},
           {{"-"}, "variable.gguf", "-"},
           {{}, "variable.gguf", ""},
           {{"other.gguf"}, "other.gguf", ""},
           {{"gemma-3-270m"}, "gemma-3-270m", ""},
           {{"hf://google/gemma-3-1b-it"}, "hf://google/gemma-3-1b-it", ""},
           {{"/"}, "/", ""},
           {{"any", "Once"}, "any", "Once"}}) {
    Parser parser("run");
    EXPECT_EQ(parser.Parse(c.words), "");
    EXPECT_THAT(parser.Found("MODEL"), ElementsAre(c.model));
    const std::vector<std::string> prompt = parser.Found("PROMPT");
    EXPECT_EQ(prompt.empty() ? "" : prompt[0], c.prompt);
  }
}

TEST(Environment, LateErrorNamesVariable) {
  Variables variables;
  variables.Set("GEMMA_TOP_P", "7");
  variables.Set("GEMMA_MIN_P", "0.5");
  Parser parser("run");
  ASSERT_EQ(parser.Parse({"MODEL"}), "");
  const auto cure = [&](const absl::Status& status) {
    return CureOf(parser.Explain(status));
  };
  EXPECT_EQ(cure(OptionError({"--top-p"}, "wanted 0 to 1")),
            "GEMMA_TOP_P is '7'");
  EXPECT_EQ(cure(Exclude("--top-p", "--min-p")),
            "GEMMA_TOP_P is '7', GEMMA_MIN_P is '0.5'");
  EXPECT_EQ(cure(OptionError({"--top-k"}, "wanted 1")), "");
  // Only recorded options count, not the words of the message.
  EXPECT_EQ(cure(UsageError("--top-p is 7")), "");
  EXPECT_EQ(cure(absl::InternalError("top_p")), "");
  EXPECT_EQ(cure(absl::OkStatus()), "");
}

// As if a shell's start file sets variables for one of the commands.
TEST(Environment, WaitsForNeededOption) {
  Variables variables;
  variables.Set("GEMMA_OUTPUT", "x.npy");
  variables.Set("GEMMA_SCORE_PROMPT", "1");
  {
    Parser parser("run");
    EXPECT_EQ(parser.Parse({"MODEL"}), "");
    EXPECT_THAT(parser.Found("--output"), IsEmpty());
    EXPECT_THAT(parser.Found("--score-prompt"), IsEmpty());
  }
  {
    Parser parser("run");
    EXPECT_EQ(parser.Parse({"MODEL", "--batch", "p", "--logprobs", "1"}), "");
    EXPECT_THAT(parser.Found("--output"), ElementsAre("x.npy"));
    EXPECT_THAT(parser.Found("--score-prompt"), ElementsAre("true"));
  }
  variables.Set("GEMMA_BATCH", "p");
  Parser parser("run");
  EXPECT_EQ(parser.Parse({"MODEL", "--output", "y"}), "");
  EXPECT_THAT(parser.Found("--batch"), ElementsAre("p"));
  EXPECT_THAT(parser.Found("--output"), ElementsAre("y"));
}

// Returns the kind of an option's value: "FILE", "N", ...; "|" for choices.
std::string KindOf(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  if (IsFlag(option)) return "flag";
  if (type.starts_with("FILE")) return "FILE";
  if (type.starts_with("N")) return "N";
  return type.find('|') != std::string::npos ? "|" : type;
}

// A variable that is set for all commands means the same to each.
TEST(Environment, OneNameOneMeaning) {
  std::map<std::string, std::string> kinds;
  std::map<std::string, std::set<std::string>> words;
  for (const std::string& name : Commands()) {
    Parser parser(name);
    for (const CLI::Option* option : OptionsWithVariable(parser.command())) {
      const std::string variable = VariableOf(*option);
      const std::string kind = KindOf(*option);
      EXPECT_EQ(kinds.try_emplace(variable, kind).first->second, kind)
          << name << " " << variable;
      if (kind == "|") {
        // At least one word is valid for all commands.
        const std::vector<std::string> choices =
            absl::StrSplit(option->get_type_name(), '|');
        std::set<std::string> common(choices.begin(), choices.end());
        const auto [known, is_new] = words.try_emplace(variable, common);
        if (!is_new) {
          std::erase_if(known->second, [&](const std::string& word) {
            return !common.contains(word);
          });
        }
        EXPECT_THAT(known->second, Not(IsEmpty())) << name << " " << variable;
      }
      EXPECT_EQ(option->check_sname("o"), variable == "GEMMA_OUTPUT")
          << name << " " << variable;
    }
  }
}

}  // namespace
}  // namespace gemma::tools
