// Paths, directories, and files under several names.

#ifndef GEMMA_SRC_OS_PATH_H_
#define GEMMA_SRC_OS_PATH_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gemma::internal {

// Returns the directory of the file, or "." if the path contains none.
std::string DirectoryOf(const std::string& path);

// Whether `name` can only name an entry of a directory: not empty, "." or "..",
// without slashes and backslashes, and printable (src/base/messages.h).
bool IsPlainName(std::string_view name);

// Returns OK, or InvalidArgument if the system would cut the path at a zero
// byte.
absl::Status CheckFileName(std::string_view path);

// Returns OK, or NotFound if the path is a link to a file that does not exist.
absl::Status CheckLink(const std::string& path);

// Returns the names of the entries of a directory, sorted, without "." and
// "..". (The iterators of std::filesystem end the process if memory runs out.)
absl::StatusOr<std::vector<std::string>> NamesIn(const std::string& directory);

// Returns OK, or InvalidArgument if `output` and one of `inputs` are the same
// file, also through links. Ignores paths that do not exist.
absl::Status CheckIsNoneOf(const std::string& output,
                           const std::vector<std::string>& inputs);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_OS_PATH_H_
