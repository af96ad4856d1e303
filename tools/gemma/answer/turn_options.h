// Options of chat turns: thinking, and tools that the model may call.

#ifndef GEMMA_TOOLS_GEMMA_ANSWER_TURN_OPTIONS_H_
#define GEMMA_TOOLS_GEMMA_ANSWER_TURN_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/gemma.h"

namespace gemma::tools {

struct TurnOptions {
  bool think = false;
  std::string tools;  // a file; empty: none

  bool empty() const { return !think && tools.empty(); }
  // The name of a given option, "--think" or "--tools"; "" without one.
  std::string asked_by() const;
};

// Adds --think and --tools.
void AddTurnOptions(CLI::App& app, TurnOptions* options);

// Reads the file of --tools, which must be a JSON list of declarations. A usage
// error names what is wrong.
absl::StatusOr<ChatOptions> ReadTurnOptions(const TurnOptions& options);

// How the model calls tools that a chat declares.
ToolDialect DialectOf(const Model& model);

// A call as {"name", "arguments"}, with "id" if it has one. Arguments that are
// not valid JSON become a string.
nlohmann::ordered_json CallJson(const ToolCall& call);
// The calls as lines of JSON, one for each.
std::string CallLines(const std::vector<ToolCall>& calls);

// Sets the result of a tool: `text`, or its value if it is a JSON object.
void SetResult(std::string_view text, Message* message);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_ANSWER_TURN_OPTIONS_H_
