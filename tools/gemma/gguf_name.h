// What the names of GGUF files tell.

#ifndef GEMMA_TOOLS_GEMMA_GGUF_NAME_H_
#define GEMMA_TOOLS_GEMMA_GGUF_NAME_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace gemma::tools {

// "DIR/model-00002-of-00003.gguf" without its number, and the number.
struct GgufPart {
  std::string model;  // "DIR/model"
  size_t number = 0;  // from 1
  size_t count = 0;

  std::string Name(size_t part) const;
};

// Nothing if the file is not one of several.
std::optional<GgufPart> ParseGgufPart(std::string_view path);

bool IsGguf(std::string_view path);

// The last part of `path`.
std::string_view FileName(std::string_view path);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_GGUF_NAME_H_
