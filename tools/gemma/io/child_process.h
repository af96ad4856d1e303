// Programs that the command runs.

#ifndef GEMMA_TOOLS_GEMMA_IO_CHILD_PROCESS_H_
#define GEMMA_TOOLS_GEMMA_IO_CHILD_PROCESS_H_

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gemma::tools {

struct ChildCommand {
  std::vector<std::string> arguments;  // the first is looked up in PATH
  std::string directory;               // where it runs
  std::vector<std::pair<std::string, std::string>>
      environment;  // added to ours
  int input = -1;   // a file, its standard input from here on; -1: none
};

struct ChildResult {
  int exit_code = 0;   // 128 and the signal's number if one ended it
  std::string errors;  // the end of its standard error
};

// Runs a program. `on_output` receives its standard output, `on_wait` is called
// several times a second; an error of the former, or an interrupt, ends the
// program and is returned. Returns when the program has exited, even if one
// that it started still holds its output. A program that does not end at
// SIGTERM is killed. NotFound: no such program.
absl::StatusOr<ChildResult> RunChild(
    const ChildCommand& command,
    const std::function<absl::Status(std::string_view)>& on_output,
    const std::function<void()>& on_wait);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_CHILD_PROCESS_H_
