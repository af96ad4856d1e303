// Whether two paths name one file.

#ifndef GEMMA_SRC_OS_SAME_FILE_H_
#define GEMMA_SRC_OS_SAME_FILE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace gemma::internal {

// OK, or InvalidArgument if `output` is one of `inputs`, also by way of links.
// Paths where nothing is are no files.
absl::Status CheckIsNoneOf(const std::string& output,
                           const std::vector<std::string>& inputs);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_OS_SAME_FILE_H_
