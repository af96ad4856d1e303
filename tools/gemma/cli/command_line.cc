#include "tools/gemma/cli/command_line.h"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>
#include <memory>
#include <new>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/command_tree.h"
#include "tools/gemma/cli/common_options.h"
#include "tools/gemma/cli/environment.h"
#include "tools/gemma/cli/parts.h"
#include "tools/gemma/help/help.h"
#include "tools/gemma/help/option_table.h"
#include "tools/gemma/io/bus_error.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/signals.h"
#include "tools/gemma/pull/resolve.h"
#include "tools/gemma/words/command_habits.h"
#include "tools/gemma/words/joined_values.h"
#include "tools/gemma/words/old_spellings.h"
#include "tools/gemma/words/unknown_words.h"

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

// Returns the command with this name, or nullptr.
CLI::App* FindCommand(CLI::App& app, const std::string& name) {
  const std::vector<CLI::App*> found = app.get_subcommands(
      [&](CLI::App* command) { return command->get_name() == name; });
  return found.empty() ? nullptr : found[0];
}

// An error about an argument that is missing, such as "MODEL is required".
absl::Status MissingArgument(const CLI::App& command,
                             const CLI::RequiredError& error) {
  const std::string_view said = error.what();
  absl::Status status =
      UsageError(absl::StrCat(command.get_name(), ": ", said));
  const std::string& name = command.get_name();
  if (absl::StartsWith(said, "--reference ")) {
    return WithCure(std::move(status),
                    "gemma verify-file MODEL checks a file for damage");
  }
  if (absl::StartsWith(said, "-")) return status;
  if (!absl::StartsWith(said, "MODEL ") && !absl::StartsWith(said, "NAME ")) {
    std::string usage = absl::StrCat("gemma ", name);
    for (const OptionEntry& argument : DescribeCommand(command).arguments) {
      absl::StrAppend(&usage, argument.required ? " " : " [", argument.argument,
                      argument.required ? "" : "]");
    }
    return WithCure(std::move(status), usage);
  }
  const bool answers = name == "run" || name == "chat" || name == "serve";
  const std::string start = absl::StrCat(
      "gemma ", name, " MODEL", name == "run" ? " \"PROMPT\"" : "", "; ");
  return WithCure(std::move(status),
                  absl::StrCat(answers ? start : "", ModelsAtHand()));
}

// An error about an option without its value, or with several. CLI11 says
// "--stop: 1 required TEXT missing" and "--file: At Most 1 required but
// received 2".
absl::Status MissingValue(const CLI::ArgumentMismatch& error) {
  const std::string_view said = error.what();
  const std::string_view option = said.substr(0, said.find(':'));
  return UsageError(absl::StrContains(said, "missing")
                        ? absl::StrCat(option, " needs a value")
                    : absl::StrContains(said, "At Most 1")
                        ? absl::StrCat(option, " is given more than once")
                        : said);
}

// An error about an option that another one needs, such as "--batch-size
// requires --batch".
absl::Status MissingOption(const CLI::App& command,
                           const CLI::RequiresError& error) {
  return WithCure(
      UsageError(error.what()),
      absl::StrCat("gemma ", command.get_name(), " --help-all explains both"));
}

// Parses the command line. Runs the command's callback, or prints the answer to
// --help or --version.
absl::Status Parse(CLI::App& app, const CLI::App& command,
                   std::vector<std::string> words) {
  const bool all =
      std::find(words.begin(), words.end(), "--help-all") != words.end();
  const bool asks = AsksForHelp(words);
  const std::vector<std::string> typed = words;
  // CLI11 takes the last word first.
  std::reverse(words.begin(), words.end());
  try {
    app.parse(std::move(words));
  } catch (const CLI::CallForHelp&) {
    return WriteOutput(HelpOf(command, /*all=*/false));
  } catch (const CLI::CallForAllHelp&) {
    return WriteOutput(HelpOf(command, /*all=*/true));
  } catch (const CLI::CallForVersion& version) {
    return WriteOutput(absl::StrCat(version.what(), "\n"));
  } catch (const CLI::ParseError& error) {
    // --help after a wrong value
    if (asks) return WriteOutput(HelpOf(command, all));
    const std::vector<std::string> surplus = app.remaining(/*recurse=*/true);
    if (!surplus.empty()) {
      const absl::Status status = SurplusArguments(command, surplus);
      const std::string cure = FlagBefore(command, typed, surplus[0]);
      return cure.empty() ? status : WithCure(status, cure);
    }
    if (const auto* missing = dynamic_cast<const CLI::RequiredError*>(&error)) {
      return MissingArgument(command, *missing);
    }
    if (const auto* mismatch =
            dynamic_cast<const CLI::ArgumentMismatch*>(&error)) {
      return MissingValue(*mismatch);
    }
    if (const auto* lacks = dynamic_cast<const CLI::RequiresError*>(&error)) {
      return MissingOption(command, *lacks);
    }
    return UsageError(error.what());
  }
  return absl::OkStatus();
}

// Returns the words of a command line as gemma's own: `gemma ls` means
// `gemma list`.
std::vector<std::string> OwnWords(std::vector<std::string> words) {
  if (words.empty()) return words;
  if (words.size() > 1 && (words[0] == "--help" || words[0] == "-h")) {
    words[0] = "help";
  }
  if (words[0] == "version") words[0] = "--version";
  if (words[0] == "--help-all") words[0] = "--help";
  if (const std::string_view own = CommandAlias(words[0]); !own.empty()) {
    words[0] = std::string(own);
  }
  return words;
}

// Prints the answer to `gemma help`, `gemma help run` or `gemma help guard`.
absl::Status Help(CLI::App& app, const std::vector<std::string>& words) {
  if (words.size() == 1) return WriteOutput(HelpOf(app, /*all=*/false));
  // The words of the first level that are not the names of commands.
  for (const std::string_view word :
       {"-h", "--help", "--help-all", "help", "--version", "version"}) {
    if (words[1] == word) return WriteOutput(HelpOf(app, /*all=*/false));
  }
  const std::string_view own = CommandAlias(words[1]);
  const CLI::App* command =
      FindCommand(app, own.empty() ? words[1] : std::string(own));
  const std::string help = command != nullptr
                               ? HelpOf(*command, words.back() == "--help-all")
                               : HelpOnTopic(app, words[1]);
  return help.empty() ? UnknownCommand(app, words[1]) : WriteOutput(help);
}

// Writes the words after the command's name in today's spelling. Returns what
// to say about that if this is the first try.
absl::StatusOr<std::vector<std::string>> TranslateOldSpellings(
    const CLI::App& command, bool is_first, std::vector<std::string>& words) {
  if (AsksForHelp(words)) return std::vector<std::string>();
  GEMMA_ASSIGN_OR_RETURN(
      const std::vector<std::string> separate,
      SeparateValues(command, {words.begin() + 1, words.end()}));
  GEMMA_ASSIGN_OR_RETURN(SpelledWords spelled, NewSpellings(command, separate));
  words.resize(1);
  words.insert(words.end(), spelled.words.begin(), spelled.words.end());
  GEMMA_ASSIGN_OR_RETURN(const std::string note, ReadFormVariable(command));
  if (!note.empty()) spelled.notes.push_back(note);
  return is_first ? spelled.notes : std::vector<std::string>();
}

// Runs the command, as if the variables of `overridden` were not set. If other
// variables contradict the command line, adds them to `overridden`, and the
// caller tries again.
absl::Status RunOnce(std::vector<std::string> words,
                     std::set<std::string>& overridden) {
  Action action;
  CommonOptions common;
  const std::unique_ptr<CLI::App> app = MakeCommandTree(&action, &common);
  if (words.empty()) return UsageError("which command? see gemma --help");
  if (words[0] == "help") return Help(*app, words);
  CLI::App* command = FindCommand(*app, words[0]);
  if (command == nullptr) {
    GEMMA_RETURN_IF_ERROR(CheckCommandFirst(*app, words));
    if (!absl::StartsWith(words[0], "-")) {
      return UnknownCommand(*app, words[0]);
    }
    GEMMA_RETURN_IF_ERROR(CheckOptions(*app, {words[0]}));
    GEMMA_RETURN_IF_ERROR(SeparateValues(*app, words).status());
    if (words[0] == "--version" && words.size() > 1 && !AsksForHelp(words)) {
      return WithCure(UsageError(absl::StrCat("--version stands alone, found '",
                                              words[1], "' after it")),
                      "gemma doctor --json has the version, too");
    }
    return Parse(*app, *app, words);
  }
  if (!AsksForHelp(words)) {
    GEMMA_RETURN_IF_ERROR(CheckBuilt(command->get_name()));
  }
  GEMMA_ASSIGN_OR_RETURN(
      const std::vector<std::string> notes,
      TranslateOldSpellings(*command, overridden.empty(), words));
  GEMMA_RETURN_IF_ERROR(
      CheckOptions(*command, absl::MakeConstSpan(words).subspan(1)));
  Environment environment(*command, overridden);
  environment.Relax();
  app->parse_complete_callback([&] { environment.Apply(); });
  GEMMA_RETURN_IF_ERROR(Parse(*app, *command, words));
  if (action == nullptr) return absl::OkStatus();  // --help
  GEMMA_RETURN_IF_ERROR(CheckArgumentOrder(*command));
  if (command->get_option("--quiet")->count() == 0) {
    for (const std::string& note : notes) Note(note);
  }
  const absl::Status status = RunAction(*command, common, action);
  for (std::string& variable : environment.Overridden(status)) {
    overridden.insert(std::move(variable));
  }
  return environment.Explain(status);
}

absl::Status Run(int argc, char** argv) {
  const std::vector<std::string> words =
      OwnWords(std::vector<std::string>(argv + std::min(argc, 1), argv + argc));
  std::set<std::string> overridden;
  while (true) {
    const size_t before = overridden.size();
    absl::Status status = RunOnce(words, overridden);
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
