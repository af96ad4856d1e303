#include "src/generate/line_filter.h"

#include <algorithm>
#include <utility>

namespace gemma::internal {

void LineFilter::Start() {
  if (limits_.max_seconds > 0) start_ = std::chrono::steady_clock::now();
}

bool LineFilter::Append(std::string_view text) {
  if (limits_.min_indent == 0 && limits_.max_seconds == 0) return Emit(text);
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    if (!AppendOfLine(text.substr(0, end))) return false;
    text.remove_prefix(end);
  }
  return true;
}

bool LineFilter::AppendOfLine(std::string_view text) {
  if (ended_.has_value()) return false;
  if (in_indent_) {
    const size_t blanks = std::min(text.find_first_not_of(" \t"), text.size());
    blanks_ += text.substr(0, blanks);
    text.remove_prefix(blanks);
    if (text.empty()) return true;
    if (blanks_.size() < limits_.min_indent) {
      return End(StopReason::kStopString);
    }
    in_indent_ = false;
  }
  const bool ends_line = text.back() == '\n';
  if (!Emit(std::exchange(blanks_, "").append(text))) return false;
  if (!ends_line) return true;
  if (IsLate()) return End(StopReason::kDeadline);
  in_indent_ = limits_.min_indent > 0;
  return true;
}

void LineFilter::Flush() {
  if (!ended_.has_value() && !blanks_.empty()) {
    Emit(std::exchange(blanks_, ""));
  }
}

bool LineFilter::Emit(std::string_view text) {
  wants_more_ = wants_more_ && on_text_(text);
  return wants_more_;
}

bool LineFilter::End(StopReason reason) {
  ended_ = reason;
  return false;
}

bool LineFilter::IsLate() const {
  return limits_.max_seconds > 0 &&
         std::chrono::steady_clock::now() - start_ >
             std::chrono::duration<double>(limits_.max_seconds);
}

}  // namespace gemma::internal
