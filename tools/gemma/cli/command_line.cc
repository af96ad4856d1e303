#include "tools/gemma/cli/command_line.h"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <memory>
#include <new>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/command_tree.h"
#include "tools/gemma/cli/environment.h"
#include "tools/gemma/io/bus_error.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/signals.h"

namespace gemma::tools {
namespace {

// Opens placeholders for standard descriptors that the caller closed, so that
// no file opened later becomes standard output. Reading standard input and
// writing standard output still fail: the placeholders have the wrong mode.
void OccupyStandardDescriptors() {
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) >= 0) continue;
    if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0) return;
  }
}

constexpr std::string_view kSee = "see gemma --help";

// Returns the command with this name, or nullptr.
CLI::App* FindCommand(CLI::App& app, const std::string& name) {
  const std::vector<CLI::App*> found = app.get_subcommands(
      [&](CLI::App* command) { return command->get_name() == name; });
  return found.empty() ? nullptr : found[0];
}

// Parses the command line. Runs the command's callback, or prints the answer to
// --help or --version.
absl::Status Parse(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return WriteOutput(app.help());
  } catch (const CLI::CallForVersion& version) {
    return WriteOutput(absl::StrCat(version.what(), "\n"));
  } catch (const CLI::ParseError& error) {
    // Report unknown words first: CLI11 may report a missing argument instead.
    const std::vector<std::string> unknown = app.remaining(/*recurse=*/true);
    if (unknown.empty()) return UsageError(error.what());
    return UsageError(absl::StrCat(
        "not understood: ", absl::StrJoin(unknown, " "), "; ", kSee));
  }
  return absl::OkStatus();
}

// Runs the command, as if the variables of `overridden` were not set. If other
// variables contradict the command line, adds them to `overridden`, and the
// caller tries again.
absl::Status RunOnce(int argc, char** argv, std::set<std::string>& overridden) {
  Action action;
  const std::unique_ptr<CLI::App> app = MakeCommandTree(&action);
  if (argc < 2) return UsageError(absl::StrCat("which command? ", kSee));
  const std::string first = argv[1];
  CLI::App* command = FindCommand(*app, first);
  if (command == nullptr) {
    if (!absl::StartsWith(first, "-")) {
      return UsageError(absl::StrCat("no command '", first, "'; ", kSee));
    }
    return Parse(*app, argc, argv);
  }
  Environment environment(*command, overridden);
  environment.Relax();
  app->parse_complete_callback([&] { environment.Apply(); });
  GEMMA_RETURN_IF_ERROR(Parse(*app, argc, argv));
  if (action == nullptr) return absl::OkStatus();  // --help
  const absl::Status status = action();
  for (std::string& variable : environment.Overridden(status)) {
    overridden.insert(std::move(variable));
  }
  return environment.Explain(status);
}

absl::Status Run(int argc, char** argv) {
  std::set<std::string> overridden;
  while (true) {
    const size_t before = overridden.size();
    absl::Status status = RunOnce(argc, argv, overridden);
    if (overridden.size() == before) return status;
  }
}

// Reports that memory ran out, without needing any.
int ReportOutOfMemory() noexcept {
  constexpr std::string_view kMessage = "gemma: out of memory\n";
  // A failure cannot be reported anywhere.
  static_cast<void>(write(STDERR_FILENO, kMessage.data(), kMessage.size()) < 0);
  return kExitFailure;
}

// Runs the command and reports its error. Throws if memory runs out.
int RunAndReport(int argc, char** argv) {
  try {
    return Report(Run(argc, argv));
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    return Report(absl::InternalError(error.what()));
  }
}

}  // namespace

int RunCommandLine(int argc, char** argv) noexcept {
  OccupyStandardDescriptors();
  InstallSignalHandlers();
  InstallBusErrorHandler();
  try {
    return RunAndReport(argc, argv);
  } catch (...) {
    return ReportOutOfMemory();
  }
}

}  // namespace gemma::tools
