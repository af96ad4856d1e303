// The text of --help, made from the table of options.

#ifndef GEMMA_TOOLS_GEMMA_HELP_HELP_H_
#define GEMMA_TOOLS_GEMMA_HELP_HELP_H_

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>

namespace gemma::tools {

// Returns the help of the root or of a command, which begins with examples.
// Unless `all`, a command with much to say shows only the options that are
// often used, and names --help-all.
std::string HelpOf(const CLI::App& command, bool all);

// Returns the help on a topic, such as "guard", "batch" or "sampling": the
// options with that name, or that begins with it, or of that group, in the
// first command that has them, and what that command's help says about them.
// Returns "" if no command has such options.
std::string HelpOnTopic(const CLI::App& root, std::string_view topic);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_HELP_HELP_H_
