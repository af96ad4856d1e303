// Finds the longest piece of a set that a text begins with.

#ifndef GEMMA_SRC_TEXT_TOKENIZER_PREFIX_MATCHER_H_
#define GEMMA_SRC_TEXT_TOKENIZER_PREFIX_MATCHER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "gemma/model_config.h"

namespace gemma::internal {

class PrefixMatcher {
 public:
  struct Entry {
    std::string_view text;  // not empty, unique; must not move
    TokenId token = -1;
  };

  PrefixMatcher() = default;
  explicit PrefixMatcher(std::vector<Entry> entries);

  // Returns the longest entry that `text` begins with, or null.
  const Entry* Longest(std::string_view text) const;

 private:
  std::vector<Entry> entries_;  // sorted: a prefix precedes longer texts
  std::array<uint32_t, 257> first_ = {};  // the first entry for each first byte
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_TEXT_TOKENIZER_PREFIX_MATCHER_H_
