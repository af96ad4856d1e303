// The subcommands, one per file.

#ifndef GEMMA_TOOLS_GEMMA_COMMANDS_H_
#define GEMMA_TOOLS_GEMMA_COMMANDS_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <string_view>

#include "absl/status/status.h"

namespace gemma::tools {

inline constexpr std::string_view kCommandName = "gemma";

// The action that the command line asks for. Parsing sets it; it runs
// afterwards.
using Action = std::function<absl::Status()>;

// Each function adds its subcommand to `app`. If the subcommand is chosen, it
// sets `*action`.
void AddRun(CLI::App& app, Action* action);
void AddChat(CLI::App& app, Action* action);
void AddClassify(CLI::App& app, Action* action);
void AddEmbed(CLI::App& app, Action* action);
void AddServe(CLI::App& app, Action* action);
void AddLogits(CLI::App& app, Action* action);
void AddPerplexity(CLI::App& app, Action* action);
void AddImportance(CLI::App& app, Action* action);
void AddScope(CLI::App& app, Action* action);
void AddTokenize(CLI::App& app, Action* action);
void AddInspect(CLI::App& app, Action* action);
void AddVerify(CLI::App& app, Action* action);
void AddCompare(CLI::App& app, Action* action);
void AddBench(CLI::App& app, Action* action);
void AddQuantize(CLI::App& app, Action* action);
void AddVerifyFile(CLI::App& app, Action* action);
void AddPull(CLI::App& app, Action* action);
void AddList(CLI::App& app, Action* action);
void AddRemove(CLI::App& app, Action* action);
void AddDoctor(CLI::App& app, Action* action);
void AddCompletion(CLI::App& app, Action* action);
void AddMan(CLI::App& app, Action* action);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_COMMANDS_H_
