// Finds the longest of some pieces that a text begins with.

#ifndef GEMMA_SRC_TEXT_PREFIX_MATCHER_H_
#define GEMMA_SRC_TEXT_PREFIX_MATCHER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "gemma/model_config.h"

namespace gemma {

class PrefixMatcher {
 public:
  struct Entry {
    std::string_view text;  // not empty, no two alike; must stay where it is
    TokenId token = -1;
  };

  PrefixMatcher() = default;
  explicit PrefixMatcher(std::vector<Entry> entries);

  // The longest entry that `text` begins with; null if there is none.
  const Entry* Longest(std::string_view text) const;

 private:
  std::vector<Entry> entries_;  // sorted, so a prefix before what it begins
  std::array<uint32_t, 257> first_ = {};  // entry, by its first byte
};

}  // namespace gemma

#endif  // GEMMA_SRC_TEXT_PREFIX_MATCHER_H_
