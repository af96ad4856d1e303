// The options that all commands have: -q, -v, and -o FILE with --force.

#ifndef GEMMA_TOOLS_GEMMA_CLI_COMMON_OPTIONS_H_
#define GEMMA_TOOLS_GEMMA_CLI_COMMON_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "tools/gemma/commands.h"

namespace gemma::tools {

struct CommonOptions {
  bool quiet = false;
  bool verbose = false;
  std::string output;  // empty, or "-": standard output
  bool force = false;  // replace an existing file
};

// Adds --force, for commands that write files of their own.
void AddForce(CLI::App& command, bool* force);

// Adds those of the options that the command lacks. A command that writes a
// model, downloads one, removes one, serves some or talks with the user gets no
// --output.
void AddCommonOptions(CLI::App& command, CommonOptions* options);

// A form of a result other than text, which is chosen by a flag.
struct ResultForm {
  std::string name;  // "json" for --json
  std::string description;
};

// Adds a flag for each form; it sets `*form` to the form's name.
void AddForms(CLI::App& command, std::string* form,
              const std::vector<ResultForm>& forms = {
                  {"json", "Print the result as JSON"}});

// Returns OK, or an error if `output` is a file or a model that the words of
// the command line or variables name.
absl::Status CheckCommandOutput(const CLI::App& command,
                                const std::string& output);

// Runs the action with its result in the file at `path`, and prints a line with
// the file's name and size. The file appears only if the action succeeds, or if
// WriteResult wrote its result and no signal stopped the action. For "" and
// "-", only runs the action.
absl::Status WithOutput(const CLI::App& command, const std::string& path,
                        const Action& action);

// Runs the action of a command, whose common options were read. If Ctrl-C or
// another signal stops it, says that --output got no file.
absl::Status RunAction(const CLI::App& command, const CommonOptions& options,
                       const Action& action);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CLI_COMMON_OPTIONS_H_
