// The type of a model's file, by the name that people know it by.

#ifndef GEMMA_TOOLS_GEMMA_MACHINE_FILE_TYPE_H_
#define GEMMA_TOOLS_GEMMA_MACHINE_FILE_TYPE_H_

#include <string>

#include "gemma/model.h"

namespace gemma::tools {

// Returns the type that a GGUF file states, such as "Q4_K_M". For other files,
// and if it states none, returns the type of the most weights. `path`: the path
// of the model.
std::string FileType(const std::string& path, const Model& model);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_MACHINE_FILE_TYPE_H_
