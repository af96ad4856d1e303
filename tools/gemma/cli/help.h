// The text of --help, made from the table of options.

#ifndef GEMMA_TOOLS_GEMMA_CLI_HELP_H_
#define GEMMA_TOOLS_GEMMA_CLI_HELP_H_

#include <CLI/CLI.hpp>
#include <string>

namespace gemma::tools {

// Returns the help of the root or of a command, which begins with examples.
// Unless `all`, a command with much to say shows only the options that are
// often used, and names --help-all.
std::string HelpOf(const CLI::App& command, bool all);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CLI_HELP_H_
