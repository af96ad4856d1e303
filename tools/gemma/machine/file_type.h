// What a model's file calls the types of its weights.

#ifndef GEMMA_TOOLS_GEMMA_MACHINE_FILE_TYPE_H_
#define GEMMA_TOOLS_GEMMA_MACHINE_FILE_TYPE_H_

#include <string>

#include "gemma/model.h"

namespace gemma::tools {

// Returns the name that llama.cpp's tools print for the number in
// general.file_type of a GGUF file, such as "Q4_K - Medium", or "" if the
// number is not known.
std::string FileTypeName(size_t number);

// Returns the type of the files of `model` at `path`: FileTypeName, if a GGUF
// file states a number, else the types of its weights: "BF16", or "Q8_0 + Q4_K"
// for a mixture, the three types of the most weights first, without those that
// have less than a twentieth.
std::string FileType(const std::string& path, const Model& model);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_MACHINE_FILE_TYPE_H_
