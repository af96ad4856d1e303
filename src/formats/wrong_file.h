// Files that stand in place of the file that a model should have.

#ifndef GEMMA_SRC_FORMATS_WRONG_FILE_H_
#define GEMMA_SRC_FORMATS_WRONG_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/os/mapped_file.h"

namespace gemma::internal {

// Returns OK, or an error that says what the file is: a Git LFS pointer
// (ErrorReason::kLfsPointer), or a web page, or, in place of weights, another
// text (ErrorReason::kWebPage).
absl::Status CheckIsTheFile(const MappedFile& file);

// Opens a file of a model, and checks it in this way.
absl::StatusOr<MappedFile> OpenModelFile(std::string path);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORMATS_WRONG_FILE_H_
