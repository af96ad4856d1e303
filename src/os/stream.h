// Files that can only be read from beginning to end.

#ifndef GEMMA_SRC_OS_STREAM_H_
#define GEMMA_SRC_OS_STREAM_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"

namespace gemma::internal {

// Whether the path names a pipe or a terminal, such as the /dev/fd/N of a
// shell's <(...).
bool IsStream(const std::string& path);

// Reads such a file to its end. InvalidArgument if it has more than `max_bytes`
// bytes, or the system's error.
absl::StatusOr<std::string> ReadStream(const std::string& path,
                                       size_t max_bytes);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_OS_STREAM_H_
