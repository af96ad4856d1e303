#include "src/generate/stop_filter.h"

#include <algorithm>

namespace gemma::internal {

void StopFilter::Append(std::string_view text) {
  if (stopped_ || refused_) return;
  held_.append(text);
  size_t end = std::string::npos;
  for (const std::string& stop : stops_) end = std::min(end, held_.find(stop));
  if (end != std::string::npos) {
    stopped_ = true;
    Emit(end);
    held_.clear();
    return;
  }
  Emit(held_.size() - LongestBeginning());
}

void StopFilter::Pass(std::string_view text) {
  if (stopped_ || refused_) return;
  held_.append(text);
  Emit(held_.size());
}

void StopFilter::Flush() {
  if (!stopped_ && !refused_) Emit(held_.size());
}

size_t StopFilter::LongestBeginning() const {
  size_t longest = 0;
  for (const std::string& stop : stops_) {
    for (size_t size = std::min(stop.size() - 1, held_.size()); size > longest;
         --size) {
      if (held_.ends_with(std::string_view(stop).substr(0, size))) {
        longest = size;
      }
    }
  }
  return longest;
}

void StopFilter::Emit(size_t size) {
  if (size == 0) return;
  if (!on_text_(std::string_view(held_).substr(0, size))) refused_ = true;
  held_.erase(0, size);
}

}  // namespace gemma::internal
