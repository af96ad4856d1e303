// The parts of the command that a build may leave out, and with them the
// libraries that they need. CMake writes the table
// (tools/cmake/part_table.cc.in) and compiles the parts that were chosen, so
// that no other code asks which.

#ifndef GEMMA_TOOLS_GEMMA_CLI_PARTS_H_
#define GEMMA_TOOLS_GEMMA_CLI_PARTS_H_

#include <string_view>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "tools/gemma/chat/edited_lines.h"
#include "tools/gemma/commands.h"

namespace gemma::tools {

// A command that belongs to a part.
struct PartCommand {
  std::string_view name;                       // "pull"
  void (*add)(CLI::App& app, Action* action);  // nullptr if it was left out
};

struct Part {
  std::string_view name;    // "pull"
  std::string_view option;  // CMake's: "GEMMA_WITH_PULL"
  std::string_view needs;   // "libcurl and OpenSSL"
  Versions (*versions)();   // of these libraries; nullptr if it was left out
  absl::Span<const PartCommand> commands;
  OpenEditedLines open_lines = nullptr;  // of the part that edits lines

  bool is_built() const { return versions != nullptr; }
};

absl::Span<const Part> Parts();

// Adds a command that belongs to a part. If the part was left out, the command
// has a description that says so, and no options.
void AddCommandOfPart(std::string_view name, CLI::App& app, Action* action);

// OK, or an Unimplemented error, with its cure, if this command or part was
// left out. Commands and parts that are not in the table count as built.
absl::Status CheckBuilt(std::string_view name);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CLI_PARTS_H_
