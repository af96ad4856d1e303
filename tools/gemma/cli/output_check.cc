#include "tools/gemma/cli/output_check.h"

#include "absl/status/statusor.h"
#include "gemma/gemma.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/os/path.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/pull/resolve.h"

namespace gemma::tools {

absl::Status CheckOutput(const std::string& output,
                         const std::vector<std::string>& models,
                         std::vector<std::string> files) {
  if (output.empty() || output == kStdinArgument) return absl::OkStatus();
  for (std::string& file : files) {
    if (file == kStdinArgument) file = "/dev/stdin";
  }
  GEMMA_RETURN_IF_ERROR(CheckIsNoneOf(output, files));
  for (const std::string& model : models) {
    // Loading reports a model that cannot be resolved.
    const absl::StatusOr<std::string> path = ResolveModel(model);
    if (!path.ok()) continue;
    GEMMA_RETURN_IF_ERROR(CheckIsNoModelFile(output, *path));
  }
  return absl::OkStatus();
}

}  // namespace gemma::tools
