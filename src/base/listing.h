// Lists in messages, which stay short however much a file lists.

#ifndef GEMMA_SRC_BASE_LISTING_H_
#define GEMMA_SRC_BASE_LISTING_H_

#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "src/base/messages.h"

namespace gemma::internal {

// The most items that a message lists.
inline constexpr size_t kMostListed = 20;

// Joins the texts of at most `most` items with commas, and says how many more
// there are: "a, b and 3 more".
template <class Items, class Text>
std::string Listing(const Items& items, Text text, size_t most = kMostListed) {
  std::string out;
  size_t count = 0;
  for (const auto& item : items) {
    if (count == most) {
      return absl::StrCat(out, " and ", items.size() - most, " more");
    }
    absl::StrAppend(&out, count++ == 0 ? "" : ", ", text(item));
  }
  return out;
}

// As above, for strings in quotes: "'a', 'b'".
template <class Strings>
std::string QuotedListing(const Strings& strings, size_t most = kMostListed) {
  return Listing(
      strings, [](const auto& text) { return Quoted(text); }, most);
}

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BASE_LISTING_H_
