#include "tools/gemma/command_line.h"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gemma/version.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/errors.h"
#include "tools/gemma/files.h"
#include "tools/gemma/signals.h"

namespace gemma::tools {
namespace {

// A file opened later must not become standard output because the caller had
// closed that. Reading and writing such a placeholder fails as it should.
void OccupyStandardDescriptors() {
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) >= 0) continue;
    if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0) return;
  }
}

void AddCommands(CLI::App& app, Action* action) {
  app.set_version_flag("--version", "gemma " GEMMA_VERSION_STRING);
  app.get_formatter()->column_width(34);
  app.require_subcommand(1);
  AddRun(app, action);
  AddChat(app, action);
  AddTokenize(app, action);
  AddInspect(app, action);
  AddLogits(app, action);
  AddPerplexity(app, action);
  AddVerify(app, action);
  AddBench(app, action);
  AddPull(app, action);
  AddList(app, action);
  AddRemove(app, action);
  for (CLI::App* command : app.get_subcommands({})) {
    command->footer(absl::StrCat(command->get_footer(), kExitCodesHelp));
  }
  app.footer(absl::StrCat(
      "Example:\n  gemma run gemma-3-270m.gguf \"The capital of France is\"\n",
      "\nMore on a command: gemma COMMAND --help\n", kExitCodesHelp));
}

constexpr std::string_view kSee = "see gemma --help";

// Parses, and sets `*action` or answers --help and --version.
absl::Status Parse(CLI::App& app, int argc, char** argv, Action* action) {
  if (argc < 2) return UsageError(absl::StrCat("which command? ", kSee));
  const std::string first = argv[1];
  const auto is_first = [&](CLI::App* command) {
    return command->get_name() == first;
  };
  if ((first.empty() || first[0] != '-') &&
      app.get_subcommands(is_first).empty()) {
    return UsageError(absl::StrCat("no command '", first, "'; ", kSee));
  }
  *action = nullptr;
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return WriteOutput(app.help());
  } catch (const CLI::CallForVersion& version) {
    return WriteOutput(absl::StrCat(version.what(), "\n"));
  } catch (const CLI::ParseError& error) {
    // CLI11 would rather say that another argument is missing.
    const std::vector<std::string> unknown = app.remaining(/*recurse=*/true);
    if (unknown.empty()) return UsageError(error.what());
    return UsageError(absl::StrCat(
        "not understood: ", absl::StrJoin(unknown, " "), "; ", kSee));
  }
  return absl::OkStatus();
}

absl::Status Run(int argc, char** argv) {
  Action action;
  CLI::App app("Runs Gemma models on the CPU.", "gemma");
  AddCommands(app, &action);
  GEMMA_TOOLS_RETURN_IF_ERROR(Parse(app, argc, argv, &action));
  return action != nullptr ? action() : absl::OkStatus();
}

}  // namespace

int RunCommandLine(int argc, char** argv) noexcept {
  OccupyStandardDescriptors();
  InstallSignalHandlers();
  try {
    return Report(Run(argc, argv));
  } catch (const std::bad_alloc&) {
    return Report(absl::ResourceExhaustedError("out of memory"));
  } catch (const std::exception& error) {
    return Report(absl::InternalError(error.what()));
  }
}

}  // namespace gemma::tools
