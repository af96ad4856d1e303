#include "tools/gemma/progress.h"

#include <unistd.h>

#include <cmath>
#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"

namespace gemma::tools {
namespace {

// Short tasks show nothing; others do not spend their time on the line.
constexpr double kFirstSeconds = 0.3;
constexpr double kEverySeconds = 0.1;

constexpr std::string_view kErase = "\r\x1b[K";

std::string Duration(double seconds) {
  const auto whole = static_cast<int64_t>(std::ceil(seconds));
  if (whole < 60) return absl::StrFormat("%d s", whole);
  if (whole < 3600) {
    return absl::StrFormat("%d min %02d s", whole / 60, whole % 60);
  }
  return absl::StrFormat("%d h %02d min", whole / 3600, whole / 60 % 60);
}

void WriteTerminal(std::string_view text) {
  if (write(STDERR_FILENO, text.data(), text.size()) < 0) return;
}

}  // namespace

bool StderrIsTerminal() { return isatty(STDERR_FILENO) == 1; }

Progress::Progress(std::string label, std::string unit)
    : Progress(std::move(label), std::move(unit), /*unit_size=*/1,
               StderrIsTerminal()) {}

Progress::Progress(std::string label, std::string unit, double unit_size,
                   bool enabled)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      unit_size_(unit_size),
      enabled_(enabled) {}

Progress Progress::OfBytes(std::string label, bool quiet) {
  return Progress(std::move(label), "MB", 1e6, !quiet && StderrIsTerminal());
}

Progress::~Progress() {
  if (shown_) WriteTerminal(kErase);
}

void Progress::Update(uint64_t done, uint64_t total) {
  if (!enabled_ || total == 0) return;
  const double seconds = stopwatch_.seconds();
  if (seconds < (shown_ ? last_seconds_ + kEverySeconds : kFirstSeconds)) {
    return;
  }
  last_seconds_ = seconds;
  shown_ = true;
  const double part =
      static_cast<double>(done) / static_cast<double>(total) * 100;
  std::string line = absl::StrFormat("%s%s %3.0f %%", kErase, label_, part);
  if (!unit_.empty() && done > start_ && done <= total) {
    const double rate = static_cast<double>(done - start_) / seconds;
    const double left = static_cast<double>(total - done) / rate;
    absl::StrAppendFormat(&line, ", %.1f %s/s, %s left", rate / unit_size_,
                          unit_, Duration(left));
  }
  WriteTerminal(line);
}

}  // namespace gemma::tools
