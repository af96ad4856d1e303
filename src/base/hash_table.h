// Hash tables that stay valid if memory runs out. abseil's do not, because they
// change their capacity before they allocate.

#ifndef GEMMA_SRC_BASE_HASH_TABLE_H_
#define GEMMA_SRC_BASE_HASH_TABLE_H_

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "absl/hash/hash.h"

namespace gemma::internal {

// Tables of std::string can also be searched by std::string_view.
template <class Key>
struct HashOfKey : absl::Hash<Key> {};

template <>
struct HashOfKey<std::string> {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return absl::HashOf(text); }
};

template <class Key, class Value, class Hash = HashOfKey<Key>>
using HashMap = std::unordered_map<Key, Value, Hash, std::equal_to<>>;

template <class Key, class Hash = HashOfKey<Key>, class Equal = std::equal_to<>>
using HashSet = std::unordered_set<Key, Hash, Equal>;

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BASE_HASH_TABLE_H_
