// Ends a text by its lines.

#ifndef GEMMA_SRC_GENERATE_LINE_FILTER_H_
#define GEMMA_SRC_GENERATE_LINE_FILTER_H_

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "gemma/generate.h"
#include "src/generate/stop_filter.h"

namespace gemma::internal {

// Passes text on, until LineLimits end it. Holds back the blanks that begin a
// line until the line is known to have enough of them.
class LineFilter {
 public:
  // Both must outlive the filter.
  LineFilter(const LineLimits& limits, const StopFilter::TextFunction& on_text)
      : limits_(limits), on_text_(on_text) {}

  // The first token was chosen now: the time begins.
  void Start();

  // Takes the next text. Returns whether more is wanted, by the limits and by
  // on_text.
  bool Append(std::string_view text);

  // Passes on what was held back. Call this when no text follows.
  void Flush();

  // Why the limits ended the text; nothing if they did not.
  std::optional<StopReason> ended() const { return ended_; }

 private:
  // Takes characters up to the end of a line. Returns what Append returns.
  bool AppendOfLine(std::string_view text);
  bool Emit(std::string_view text);
  bool End(StopReason reason);
  bool IsLate() const;

  const LineLimits& limits_;
  const StopFilter::TextFunction& on_text_;
  std::chrono::steady_clock::time_point start_;
  std::string blanks_;      // held back
  bool in_indent_ = false;  // a line after the first has had only blanks
  bool wants_more_ = true;  // on_text_ does
  std::optional<StopReason> ended_;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GENERATE_LINE_FILTER_H_
