// The files of a model, by their names.

#ifndef GEMMA_SRC_FORMATS_CHECKPOINT_FILES_H_
#define GEMMA_SRC_FORMATS_CHECKPOINT_FILES_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace gemma {

// Whether it is a directory as Hugging Face has them, with weights.
bool HasSafetensors(const std::string& directory);

// The names of the directory's files that are models of their own, sorted.
absl::StatusOr<std::vector<std::string>> ModelFileNames(
    const std::string& directory);

// The files of the model at `path`, as CheckIsNoModelFile (gemma/model.h)
// counts them. Only names are looked at, so a damaged model has them too.
std::vector<std::string> CheckpointFiles(const std::string& path);

}  // namespace gemma

#endif  // GEMMA_SRC_FORMATS_CHECKPOINT_FILES_H_
