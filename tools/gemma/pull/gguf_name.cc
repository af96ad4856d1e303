#include "tools/gemma/pull/gguf_name.h"

#include "absl/strings/match.h"

namespace gemma::tools {

bool IsGguf(std::string_view path) { return absl::EndsWith(path, ".gguf"); }

std::string_view FileName(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

}  // namespace gemma::tools
