// The commands and their options: the one table of them. The command line is
// parsed by it; variables, help, completion and the manual page come from it.

#ifndef GEMMA_TOOLS_GEMMA_CLI_COMMAND_TREE_H_
#define GEMMA_TOOLS_GEMMA_CLI_COMMAND_TREE_H_

#include <CLI/CLI.hpp>
#include <memory>

#include "tools/gemma/commands.h"

namespace gemma::tools {

// All commands; parsing sets `*action`.
std::unique_ptr<CLI::App> MakeCommandTree(Action* action);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CLI_COMMAND_TREE_H_
