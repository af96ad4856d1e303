#include "tools/gemma/io/child_process.h"

namespace gemma::tools {

absl::StatusOr<ChildResult> RunChild(
    const ChildCommand& command,
    const std::function<absl::Status(std::string_view)>&,
    const std::function<void()>&) {
  return absl::UnimplementedError(command.arguments[0] +
                                  ": gemma for Windows starts no programs");
}

}  // namespace gemma::tools
