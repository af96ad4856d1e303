// gemma completion: prints the script for a shell's completion.

#include <memory>
#include <string>

#include "tools/gemma/cli/options.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/help/shell_scripts.h"
#include "tools/gemma/io/files.h"

namespace gemma::tools {
namespace {

absl::Status PrintScript(const CLI::App& app, const std::string& shell) {
  const CommandEntry root = DescribeCommand(app);
  const std::vector<CommandEntry> commands = DescribeCommands(app);
  return WriteOutput(shell == "bash"  ? BashScript(root, commands)
                     : shell == "zsh" ? ZshScript(root, commands)
                                      : FishScript(root, commands));
}

}  // namespace

void AddCompletion(CLI::App& app, Action* action) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand(
      "completion", "Print a script that lets a shell complete gemma's words");
  AddChoice(*command, "SHELL", shell.get(), {"bash", "zsh", "fish"},
            "The shell that reads the script")
      ->required();
  command->footer(
      R"(The script completes commands, options, their values, files and the
names of models. Packages install it. Without a package, add one line to
the shell's start file:
  bash  ~/.bashrc                    source <(gemma completion bash)
  zsh   ~/.zshrc, after compinit     source <(gemma completion zsh)
  fish  ~/.config/fish/config.fish   gemma completion fish | source

Examples:
  source <(gemma completion bash)
  gemma completion fish | source

)");
  command->callback(
      [=, &app] { *action = [=, &app] { return PrintScript(app, *shell); }; });
}

}  // namespace gemma::tools
