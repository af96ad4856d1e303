// Parts of a file's path.

#ifndef GEMMA_SRC_OS_PATH_H_
#define GEMMA_SRC_OS_PATH_H_

#include <string>

namespace gemma {

// The directory of the file, "." if the path names none.
std::string DirectoryOf(const std::string& path);

}  // namespace gemma

#endif  // GEMMA_SRC_OS_PATH_H_
