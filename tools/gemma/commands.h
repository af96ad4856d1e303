// The subcommands, one per file.

#ifndef GEMMA_TOOLS_GEMMA_COMMANDS_H_
#define GEMMA_TOOLS_GEMMA_COMMANDS_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/gemma/chat/edited_lines.h"

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

// The names and versions of libraries.
using Versions = std::vector<std::pair<std::string, std::string>>;

// Parts that a build may leave out (cli/parts.h) say which libraries they use.
Versions PullVersions();
Versions ServeVersions();
Versions ScopeVersions();
Versions LineEditingVersions();

// Opens the editor of a chat: see OpenEditedLines.
absl::StatusOr<std::unique_ptr<EditedLines>> EditLines(bool quiet);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_COMMANDS_H_
