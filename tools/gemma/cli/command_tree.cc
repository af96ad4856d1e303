#include "tools/gemma/cli/command_tree.h"

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "gemma/version.h"
#include "tools/gemma/cli/environment.h"
#include "tools/gemma/io/errors.h"

namespace gemma::tools {
namespace {

constexpr size_t kHelpColumn = 34;  // where descriptions begin
constexpr size_t kHelpWidth = 80;

// Adds its variable to each option's description, and breaks the lines.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter() { column_width(kHelpColumn); }

  std::string make_option_desc(const CLI::Option* option) const override {
    std::string text = option->get_description();
    if (const std::string variable = VariableOf(*option); !variable.empty()) {
      absl::StrAppend(&text, " [", variable, "]");
    }
    std::string lines;
    size_t column = 0;
    for (std::string_view word :
         absl::StrSplit(text, absl::ByAnyChar(" \n"), absl::SkipEmpty())) {
      const bool breaks =
          column > 0 && column + 1 + word.size() > kHelpWidth - kHelpColumn;
      if (column > 0) absl::StrAppend(&lines, breaks ? "\n" : " ");
      column = (column == 0 || breaks ? 0 : column + 1) + word.size();
      absl::StrAppend(&lines, word);
    }
    return lines;
  }

  std::string make_subcommand(const CLI::App* command) const override {
    return absl::StrFormat("  %-12s%s\n", command->get_name(),
                           command->get_description());
  }
};

}  // namespace

std::unique_ptr<CLI::App> MakeCommandTree(Action* action) {
  auto app = std::make_unique<CLI::App>("Runs Gemma models on the CPU.",
                                        std::string(kCommandName));
  app->set_version_flag("--version", "gemma " GEMMA_VERSION_STRING);
  // Commands inherit the formatter.
  app->formatter(std::make_shared<HelpFormatter>());
  app->require_subcommand(1);
  AddRun(*app, action);
  AddChat(*app, action);
  AddClassify(*app, action);
  AddEmbed(*app, action);
  AddTokenize(*app, action);
  AddInspect(*app, action);
  AddLogits(*app, action);
  AddPerplexity(*app, action);
  AddVerify(*app, action);
  AddScope(*app, action);
  AddImportance(*app, action);
  AddCompare(*app, action);
  AddBench(*app, action);
  AddQuantize(*app, action);
  AddVerifyFile(*app, action);
  AddPull(*app, action);
  AddList(*app, action);
  AddRemove(*app, action);
  AddDoctor(*app, action);
  AddCompletion(*app, action);
  AddMan(*app, action);
  for (CLI::App* command : app->get_subcommands({})) {
    command->footer(absl::StrCat(command->get_footer(), kExitCodesHelp));
  }
  app->footer(absl::StrCat(
      "Example:\n  gemma run gemma-3-270m.gguf \"The capital of France is\"\n",
      "\nHelp on a command: gemma COMMAND --help\n\n", kVariablesHelp, "\n",
      kExitCodesHelp));
  return app;
}

}  // namespace gemma::tools
