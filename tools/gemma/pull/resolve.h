// Names in place of paths.

#ifndef GEMMA_TOOLS_GEMMA_PULL_RESOLVE_H_
#define GEMMA_TOOLS_GEMMA_PULL_RESOLVE_H_

#include <string>

#include "absl/status/statusor.h"

namespace gemma::tools {

// The path of MODEL: itself if there is such a file or directory, else that of
// the pulled model of this name. What is neither and could not be a name is
// returned as it is, for loading it tells what is wrong. Downloads nothing.
absl::StatusOr<std::string> ResolveModel(const std::string& model);

// Whether MODEL could mean a model: there is such a file or directory, a model
// of this name was pulled or can be, or it is written as a source or the path
// of a GGUF file.
bool NamesModel(const std::string& text);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_PULL_RESOLVE_H_
