// Options that come from environment variables. Every option has one, the same
// in all commands: --max-tokens is GEMMA_MAX_TOKENS, MODEL is GEMMA_MODEL. A
// command reads those of its own options; the command line wins. What is for
// use with another option (CLI::Option::needs) is not heard without it: one
// that is set for all calls shall not make some of them wrong.

#ifndef GEMMA_TOOLS_GEMMA_CLI_ENVIRONMENT_H_
#define GEMMA_TOOLS_GEMMA_CLI_ENVIRONMENT_H_

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace gemma::tools {

// The variable of an option; "" for --help and --version, which set nothing,
// and for arguments but MODEL, which differ from call to call.
std::string VariableOf(const CLI::Option& option);

// What --help says about it.
inline constexpr std::string_view kVariablesHelp =
    R"(Every option can be set by an environment variable too: --max-tokens by
GEMMA_MAX_TOKENS, MODEL by GEMMA_MODEL. The command line wins. Options
without a value take 1, true, 0 or false, those that may be repeated a
value a line; an empty variable counts as none. Where GEMMA_MODEL is set,
the only argument of run and tokenize is the text, unless it names a
model.
)";

// The variables of one command's options.
class Environment {
 public:
  explicit Environment(CLI::App& command) : command_(command) {}

  // Before parsing: what a variable sets, the command line may leave out.
  void Relax();

  // After parsing: sets what the command line left out. Throws a
  // CLI::ParseError that names the variable, what was found and what was
  // wanted.
  void Apply();

  // The same status; of a usage error about options which variables set (see
  // option_error.h), with the variables as its cure.
  absl::Status Explain(absl::Status status) const;

 private:
  CLI::App& command_;
  std::vector<const CLI::Option*> applied_;
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CLI_ENVIRONMENT_H_
