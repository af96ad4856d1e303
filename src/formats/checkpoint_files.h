// The names of a model's files.

#ifndef GEMMA_SRC_FORMATS_CHECKPOINT_FILES_H_
#define GEMMA_SRC_FORMATS_CHECKPOINT_FILES_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace gemma::internal {

// Whether it is a directory as Hugging Face has them, with weights.
bool HasSafetensors(const std::string& directory);

// Returns the sorted names of the files in the directory that are models by
// themselves.
absl::StatusOr<std::vector<std::string>> ModelFileNames(
    const std::string& directory);

// Returns the files of the model or adapter at `path`, as CheckIsNoModelFile
// (gemma/model.h) counts them. Looks only at names, so it also works for
// damaged models. Returns an error that names a directory that cannot be
// listed.
absl::StatusOr<std::vector<std::string>> CheckpointFiles(
    const std::string& path);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORMATS_CHECKPOINT_FILES_H_
