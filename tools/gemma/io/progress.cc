#include "tools/gemma/io/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/terminal_text.h"

namespace gemma::tools {
namespace {

// Short tasks show no line. Long tasks show it rarely, to save time.
constexpr double kFirstSeconds = 0.3;
constexpr double kEverySeconds = 0.1;
constexpr double kEveryLineSeconds = 10;

constexpr std::string_view kErase = "\r\x1b[K";

void WriteTerminal(std::string_view text) {
  if (write(STDERR_FILENO, text.data(), text.size()) < 0) return;
}

}  // namespace

bool StderrIsTerminal() { return isatty(STDERR_FILENO) == 1; }

std::optional<double> SecondsLeft(uint64_t start, uint64_t done, uint64_t total,
                                  double seconds) {
  if (done <= start || done > total) return std::nullopt;
  return static_cast<double>(total - done) * seconds /
         static_cast<double>(done - start);
}

std::string DurationText(double seconds) {
  // Longer than anybody waits, and small enough for an integer.
  constexpr double kMost = 1e9;
  const auto whole = static_cast<int64_t>(std::ceil(std::min(seconds, kMost)));
  if (whole < 60) return absl::StrFormat("%d s", whole);
  if (whole < 3600) {
    return absl::StrFormat("%d min %02d s", whole / 60, whole % 60);
  }
  return absl::StrFormat("%d h %02d min", whole / 3600, whole / 60 % 60);
}

Progress::Progress(std::string label, std::string unit)
    : Progress(std::move(label), std::move(unit), /*unit_size=*/1,
               StderrIsTerminal()) {}

Progress::Progress(std::string label, std::string unit, double unit_size,
                   bool enabled, bool lines)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      unit_size_(unit_size),
      enabled_(enabled && !IsQuiet()),
      lines_(lines) {}

Progress Progress::OfBytes(std::string label, bool quiet) {
  return Progress(std::move(label), "MB", 1e6, !quiet && StderrIsTerminal());
}

Progress Progress::OfCount(std::string label, bool quiet, bool verbose) {
  const bool terminal = StderrIsTerminal();
  return Progress(std::move(label), "", /*unit_size=*/1,
                  !quiet && (terminal || verbose), !terminal);
}

Progress::~Progress() {
  if (shown_ && !lines_) WriteTerminal(kErase);
}

void Progress::Update(uint64_t done, uint64_t total) {
  const double seconds = stopwatch_.seconds();
  if (total == 0 || !Due(seconds)) return;
  const double part =
      static_cast<double>(done) / static_cast<double>(total) * 100;
  std::string line = absl::StrFormat("%s %3.0f %%", label_, part);
  const std::optional<double> left = SecondsLeft(start_, done, total, seconds);
  if (!unit_.empty() && left.has_value()) {
    const double rate = static_cast<double>(done - start_) / seconds;
    absl::StrAppendFormat(&line, ", %.1f %s/s, %s left", rate / unit_size_,
                          unit_, DurationText(*left));
  }
  Show(line);
}

void Progress::UpdateCount(uint64_t done, uint64_t total,
                           std::string_view detail) {
  const double seconds = stopwatch_.seconds();
  if (!Due(seconds)) return;
  const std::string of = total == 0 ? "" : absl::StrCat("/", total);
  std::string line = absl::StrFormat("%s %u%s, %s", label_, done, of, detail);
  const std::optional<double> left = SecondsLeft(start_, done, total, seconds);
  if (left.has_value()) {
    absl::StrAppendFormat(&line, ", %s left", DurationText(*left));
  }
  Show(line);
}

bool Progress::Due(double seconds) {
  const double every = lines_ ? kEveryLineSeconds : kEverySeconds;
  const double first = lines_ ? kEveryLineSeconds : kFirstSeconds;
  if (!enabled_ || seconds < (shown_ ? last_seconds_ + every : first)) {
    return false;
  }
  last_seconds_ = seconds;
  shown_ = true;
  return true;
}

void Progress::Show(std::string_view line) {
  if (lines_) {
    Note(line);
  } else {
    // kErase erases one row. A terminal that has a full row may begin another.
    const size_t columns = ErrorColumns();
    const std::string printable = Printable(line, kUncut);
    WriteTerminal(
        absl::StrCat(kErase, Cut(printable, columns > 1 ? columns - 1 : 0)));
  }
}

}  // namespace gemma::tools
