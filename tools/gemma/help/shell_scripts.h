// Completion scripts for shells.

#ifndef GEMMA_TOOLS_GEMMA_HELP_SHELL_SCRIPTS_H_
#define GEMMA_TOOLS_GEMMA_HELP_SHELL_SCRIPTS_H_

#include <string>
#include <vector>

#include "tools/gemma/help/option_table.h"

namespace gemma::tools {

// `root`: the options before any command.
std::string BashScript(const CommandEntry& root,
                       const std::vector<CommandEntry>& commands);
std::string ZshScript(const CommandEntry& root,
                      const std::vector<CommandEntry>& commands);
std::string FishScript(const CommandEntry& root,
                       const std::vector<CommandEntry>& commands);

// Commands for all shells that print the names of pulled models, one per line.
// kListAllNames also prints the names in the catalogue.
inline constexpr char kListNames[] =
    "gemma list 2>/dev/null | tail -n +2 | cut -d ' ' -f 1";
inline constexpr char kListAllNames[] =
    "gemma list --all 2>/dev/null | tail -n +2 | cut -d ' ' -f 1";

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_HELP_SHELL_SCRIPTS_H_
