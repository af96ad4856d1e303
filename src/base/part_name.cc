#include "src/base/part_name.h"

#include "absl/strings/numbers.h"
#include "src/base/format_text.h"

namespace gemma::internal {

std::string PartName::Part(size_t part) const {
  return FormatText("%s-%05d-of-%05d.gguf", prefix, part, count);
}

std::optional<PartName> ParsePartName(std::string_view name) {
  constexpr std::string_view kPattern = "-00002-of-00003.gguf";
  constexpr size_t kDigits = 5;
  if (name.size() <= kPattern.size()) return std::nullopt;
  PartName part;
  part.prefix = std::string(name.substr(0, name.size() - kPattern.size()));
  const std::string_view suffix = name.substr(part.prefix.size());
  if (!absl::SimpleAtoi(suffix.substr(1, kDigits), &part.number) ||
      !absl::SimpleAtoi(suffix.substr(10, kDigits), &part.count) ||
      part.number < 1 || part.number > part.count ||
      part.Part(part.number) != name) {
    return std::nullopt;
  }
  return part;
}

}  // namespace gemma::internal
