// The only table of commands and options. The command line is parsed with it;
// variables, help, completion and the manual page are made from it.

#ifndef GEMMA_TOOLS_GEMMA_CLI_COMMAND_TREE_H_
#define GEMMA_TOOLS_GEMMA_CLI_COMMAND_TREE_H_

#include <CLI/CLI.hpp>
#include <memory>

#include "tools/gemma/cli/common_options.h"
#include "tools/gemma/commands.h"

namespace gemma::tools {

// Returns the tree of all commands. Parsing with it sets `*action` and
// `*common`.
std::unique_ptr<CLI::App> MakeCommandTree(Action* action,
                                          CommonOptions* common);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CLI_COMMAND_TREE_H_
