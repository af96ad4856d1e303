// Runs other programs.

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
  std::string directory;               // its working directory
  std::vector<std::pair<std::string, std::string>>
      environment;  // added to our variables, or instead of them
  int input = -1;   // descriptor of its standard input; -1: /dev/null
};

struct ChildResult {
  int exit_code = 0;   // 128 plus the signal's number if a signal ended it
  std::string errors;  // the end of its standard error
};

// Runs a program and waits until it exits, even if a program that it started
// still holds its output. `on_output` receives its standard output; `on_wait`
// is called several times a second. An error of `on_output`, or an interrupt,
// ends the program and is returned; if SIGTERM does not end it, SIGKILL does.
// Returns NotFound if the program is not installed.
absl::StatusOr<ChildResult> RunChild(
    const ChildCommand& command,
    const std::function<absl::Status(std::string_view)>& on_output,
    const std::function<void()>& on_wait);

inline constexpr char kPython[] = "python3";

// Returns the cause of a Python program's failure from its standard error: the
// last line that begins with "ERROR: ", without that, else the last line.
std::string PythonCause(std::string_view errors);

// Returns an error of RunChild. If Python is not installed, adds the cure: to
// install it and `package`.
absl::Status PythonError(const absl::Status& status, std::string_view package);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_CHILD_PROCESS_H_
