// Finds the model that a path or a name means.

#ifndef GEMMA_TOOLS_GEMMA_PULL_RESOLVE_H_
#define GEMMA_TOOLS_GEMMA_PULL_RESOLVE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gemma::tools {

// Returns the path of MODEL: MODEL itself if it is an existing file or
// directory, else the path of the pulled model with this name, or from this
// source (OWNER/REPO:TYPE). Text that is
// neither and cannot be a name is returned unchanged, because loading it gives
// a good error. Downloads nothing. `in_chat`: a chat asks, where MODEL cannot
// be taken for the prompt.
absl::StatusOr<std::string> ResolveModel(const std::string& model,
                                         bool in_chat = false);

// The usage error for a name that gemma pull cannot fetch, with the nearest
// name of the catalogue if there is one.
absl::Status NotInCatalogue(const std::string& model);

// Whether `text` may mean a model: it is an existing file or directory, the
// name of a pulled model or of one in the catalogue, a source, or a path that
// ends in .gguf or .sbs.
bool NamesModel(const std::string& text);

// As NamesModel, but a file without the ending of a model's, and a directory
// without a model's files, do not count.
bool LooksLikeModel(const std::string& text);

// Whether this is a file whose name is not that of a model.
bool IsOtherFile(const std::string& path);

// Returns the names of the pulled models that are complete.
std::vector<std::string> ModelNames();

// Returns the names of pulled models in a sentence, or how to get one.
std::string ModelsAtHand();

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_PULL_RESOLVE_H_
