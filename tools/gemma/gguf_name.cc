#include "tools/gemma/gguf_name.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"

namespace gemma::tools {

std::string GgufPart::Name(size_t part) const {
  return absl::StrFormat("%s-%05d-of-%05d.gguf", model, part, count);
}

std::optional<GgufPart> ParseGgufPart(std::string_view path) {
  constexpr std::string_view kPattern = "-00002-of-00003.gguf";
  if (path.size() <= kPattern.size()) return std::nullopt;
  GgufPart part;
  part.model = std::string(path.substr(0, path.size() - kPattern.size()));
  const std::string_view suffix = path.substr(part.model.size());
  if (!absl::SimpleAtoi(suffix.substr(1, 5), &part.number) ||
      !absl::SimpleAtoi(suffix.substr(10, 5), &part.count) || part.number < 1 ||
      part.number > part.count || part.Name(part.number) != path) {
    return std::nullopt;
  }
  return part;
}

bool IsGguf(std::string_view path) { return absl::EndsWith(path, ".gguf"); }

std::string_view FileName(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

}  // namespace gemma::tools
