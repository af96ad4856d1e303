// Options that come from environment variables. Every option has a variable,
// the same in all commands: --max-tokens is GEMMA_MAX_TOKENS, MODEL is
// GEMMA_MODEL. A command reads only the variables of its own options, and the
// command line overrides them. The variable of an option that needs another
// option (CLI::Option::needs, or Needs of option_error.h) is ignored while that
// one is not set: a variable that is set for all calls must not make some of
// them wrong.

#ifndef GEMMA_TOOLS_GEMMA_CLI_ENVIRONMENT_H_
#define GEMMA_TOOLS_GEMMA_CLI_ENVIRONMENT_H_

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace gemma::tools {

// Returns the variable of an option. Returns "" for --help and --version, which
// set nothing, and for all arguments except MODEL and most outputs, because
// they differ from call to call.
std::string VariableOf(const CLI::Option& option);

// The paragraph of --help on variables.
inline constexpr std::string_view kVariablesHelp =
    R"(Every option can also be set by an environment variable: --max-tokens
by GEMMA_MAX_TOKENS, MODEL by GEMMA_MODEL. The command line overrides
variables. For an option without a value, set 1, true, 0 or false. For an
option that may be repeated, set one value per line. An empty variable
counts as not set. If GEMMA_MODEL is set, the only argument of a command
that takes MODEL and a text, or a file with a text, is this text or file,
unless it names a model.
)";

// The variables of one command's options.
class Environment {
 public:
  // `overridden`: variables that count as not set.
  explicit Environment(CLI::App& command, std::set<std::string> overridden = {})
      : command_(command), overridden_(std::move(overridden)) {}

  // Call this before parsing. Makes the options that variables set optional on
  // the command line.
  void Relax();

  // Call this after parsing. Sets the options that the command line left out.
  // Throws a CLI::ParseError that names the variable, what was found and what
  // was wanted.
  void Apply();

  // Returns the variables whose options, by `status`, a usage error, contradict
  // options of the command line, or need an option that is not set: these
  // variables count as not set.
  std::vector<std::string> Overridden(const absl::Status& status) const;

  // Returns `status`. If it is a usage error about options that variables set
  // (see option_error.h), adds these variables and their values as its cure.
  absl::Status Explain(absl::Status status) const;

 private:
  CLI::App& command_;
  const std::set<std::string> overridden_;
  std::vector<const CLI::Option*> applied_;
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CLI_ENVIRONMENT_H_
