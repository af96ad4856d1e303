// Names of GGUF files.

#ifndef GEMMA_TOOLS_GEMMA_PULL_GGUF_NAME_H_
#define GEMMA_TOOLS_GEMMA_PULL_GGUF_NAME_H_

#include <string_view>

namespace gemma::tools {

// Whether `path` ends in ".gguf".
bool IsGguf(std::string_view path);

// The part of `path` after the last "/".
std::string_view FileName(std::string_view path);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_PULL_GGUF_NAME_H_
