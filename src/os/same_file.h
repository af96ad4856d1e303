// Checks whether two paths name one file.

#ifndef GEMMA_SRC_OS_SAME_FILE_H_
#define GEMMA_SRC_OS_SAME_FILE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace gemma::internal {

// Returns OK, or InvalidArgument if `output` and one of `inputs` are the same
// file, also through links. Ignores paths that do not exist.
absl::Status CheckIsNoneOf(const std::string& output,
                           const std::vector<std::string>& inputs);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_OS_SAME_FILE_H_
