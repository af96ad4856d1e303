#include "src/jinja/values/marked_text.h"

#include <algorithm>

namespace gemma::internal {

void MarkedText::Append(std::string_view text, TextOrigin origin) {
  if (text.empty()) return;
  text_.append(text);
  if (!runs_.empty() && runs_.back().origin == origin) {
    runs_.back().end = text_.size();
  } else {
    runs_.push_back({text_.size(), origin});
  }
}

void MarkedText::Append(const MarkedText& other) {
  Append(other, 0, other.size());
}

void MarkedText::Append(const MarkedText& other, size_t begin, size_t end) {
  const std::string_view text = other.text_;
  // The first run that ends after `begin`.
  auto run = std::upper_bound(other.runs_.begin(), other.runs_.end(), begin,
                              [](size_t offset, const Run& candidate) {
                                return offset < candidate.end;
                              });
  while (begin < end) {
    const size_t run_end = std::min(run->end, end);
    Append(text.substr(begin, run_end - begin), run->origin);
    begin = run_end;
    ++run;
  }
}

MarkedText MarkedText::Substring(size_t begin, size_t end) const {
  MarkedText part;
  part.Append(*this, begin, end);
  return part;
}

TextOrigin MarkedText::OriginAt(size_t offset) const {
  const auto run = std::upper_bound(
      runs_.begin(), runs_.end(), offset,
      [](size_t at, const Run& candidate) { return at < candidate.end; });
  return run->origin;
}

}  // namespace gemma::internal
