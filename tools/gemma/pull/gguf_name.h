// What the names of GGUF files tell.

#ifndef GEMMA_TOOLS_GEMMA_PULL_GGUF_NAME_H_
#define GEMMA_TOOLS_GEMMA_PULL_GGUF_NAME_H_

#include <string_view>

namespace gemma::tools {

bool IsGguf(std::string_view path);

// The last part of `path`.
std::string_view FileName(std::string_view path);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_PULL_GGUF_NAME_H_
