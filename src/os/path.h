// Parts of a file's path.

#ifndef GEMMA_SRC_OS_PATH_H_
#define GEMMA_SRC_OS_PATH_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace gemma::internal {

// The directory of the file, "." if the path names none.
std::string DirectoryOf(const std::string& path);

// The names of what a directory holds, sorted, without "." and "..". The
// iterators of std::filesystem end the process where memory ends.
absl::StatusOr<std::vector<std::string>> NamesIn(const std::string& directory);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_OS_PATH_H_
