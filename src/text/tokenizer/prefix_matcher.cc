#include "src/text/tokenizer/prefix_matcher.h"

#include <algorithm>
#include <utility>

namespace gemma::internal {

PrefixMatcher::PrefixMatcher(std::vector<Entry> entries)
    : entries_(std::move(entries)) {
  std::sort(entries_.begin(), entries_.end(),
            [](const Entry& a, const Entry& b) { return a.text < b.text; });
  for (const Entry& entry : entries_) {
    ++first_[static_cast<uint8_t>(entry.text[0]) + 1];
  }
  for (size_t i = 1; i < first_.size(); ++i) first_[i] += first_[i - 1];
}

const PrefixMatcher::Entry* PrefixMatcher::Longest(
    std::string_view text) const {
  if (text.empty()) return nullptr;
  const auto lead = static_cast<uint8_t>(text[0]);
  const Entry* begin = entries_.data() + first_[lead];
  const Entry* end = entries_.data() + first_[lead + 1];
  const Entry* longest = nullptr;
  // All entries in [begin, end) begin with text[0, size). The shortest comes
  // first.
  for (size_t size = 1; begin != end; ++size) {
    if (begin->text.size() == size) longest = begin++;
    if (size == text.size()) break;
    const auto byte_of = [size](const Entry& entry) {
      return static_cast<uint8_t>(entry.text[size]);
    };
    const auto byte = static_cast<uint8_t>(text[size]);
    begin = std::partition_point(
        begin, end, [&](const Entry& entry) { return byte_of(entry) < byte; });
    end = std::partition_point(
        begin, end, [&](const Entry& entry) { return byte_of(entry) == byte; });
  }
  return longest;
}

}  // namespace gemma::internal
