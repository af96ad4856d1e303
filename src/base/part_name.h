// Names of the parts that a GGUF model is split into.

#ifndef GEMMA_SRC_BASE_PART_NAME_H_
#define GEMMA_SRC_BASE_PART_NAME_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace gemma::internal {

// The name of a part, such as "dir/model-00002-of-00003.gguf".
struct PartName {
  std::string prefix;  // "dir/model"
  size_t number = 0;   // from 1 to `count`
  size_t count = 0;

  // Returns the name of another part.
  std::string Part(size_t part) const;
};

// Returns nothing if `name` does not have the form of a part's name.
std::optional<PartName> ParsePartName(std::string_view name);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BASE_PART_NAME_H_
