#include "tools/gemma/cli/command_tree.h"

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "gemma/version.h"
#include "tools/gemma/cli/environment.h"
#include "tools/gemma/cli/parts.h"
#include "tools/gemma/io/errors.h"

namespace gemma::tools {

std::unique_ptr<CLI::App> MakeCommandTree(Action* action,
                                          CommonOptions* common) {
  auto app = std::make_unique<CLI::App>("Runs Gemma models on the CPU.",
                                        std::string(kCommandName));
  app->set_version_flag("--version", "gemma " GEMMA_VERSION_STRING,
                        "Print the version");
  app->set_help_flag("-h,--help", "Print this help");
  app->require_subcommand(1);
  AddRun(*app, action);
  AddChat(*app, action);
  AddCommandOfPart("serve", *app, action);
  AddClassify(*app, action);
  AddEmbed(*app, action);
  AddTokenize(*app, action);
  AddInspect(*app, action);
  AddLogits(*app, action);
  AddPerplexity(*app, action);
  AddCommandOfPart("verify", *app, action);
  AddCommandOfPart("scope", *app, action);
  AddImportance(*app, action);
  AddCompare(*app, action);
  AddBench(*app, action);
  AddQuantize(*app, action);
  AddVerifyFile(*app, action);
  AddCommandOfPart("pull", *app, action);
  AddList(*app, action);
  AddRemove(*app, action);
  AddDoctor(*app, action);
  AddCompletion(*app, action);
  AddMan(*app, action);
  for (CLI::App* command : app->get_subcommands({})) {
    AddCommonOptions(*command, common);
    command->set_help_flag("-h,--help", "Print help");
    command->set_help_all_flag("--help-all", "Print all options, explained");
  }
  app->footer(
      absl::StrCat("Example:\n  gemma run gemma-3-270m \"Once upon a time, "
                   "there was a little\" -n 64\n",
                   "\nHelp on a command: gemma COMMAND --help\n"
                   "Help on options: gemma help guard, gemma help batch, "
                   "gemma help sampling\n\n",
                   kVariablesHelp, "\n", kExitCodesHelp));
  return app;
}

}  // namespace gemma::tools
