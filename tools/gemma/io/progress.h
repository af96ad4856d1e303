// A line that says how far something is.

#ifndef GEMMA_TOOLS_GEMMA_IO_PROGRESS_H_
#define GEMMA_TOOLS_GEMMA_IO_PROGRESS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "src/base/internal.h"
#include "src/base/stopwatch.h"

namespace gemma::tools {

bool StderrIsTerminal();

// What is left, at the rate of what was done since `start` in `seconds`;
// nothing if nothing was, or if that is all and more.
std::optional<double> SecondsLeft(uint64_t start, uint64_t done, uint64_t total,
                                  double seconds);

// "5 s", "1 min 05 s", "2 h 00 min".
std::string DurationText(double seconds);

// Shown on standard error if that is a terminal, and erased at the end. Nothing
// else may be printed meanwhile.
class Progress {
 public:
  // With a unit, for example "tok", the line also tells the rate and the time
  // left.
  explicit Progress(std::string label, std::string unit = "");
  // Of bytes, with a rate in MB/s. `quiet`: never shown.
  static Progress OfBytes(std::string label, bool quiet);
  // Of things that are counted. `verbose`: where there is no terminal, a line
  // of its own now and then.
  static Progress OfCount(std::string label, bool quiet, bool verbose);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // What was done before this began; the rate does not count it.
  void StartAt(uint64_t done) { start_ = done; }

  void Update(uint64_t done, uint64_t total);
  // "answering 3/10, <detail>, 5 s left". A total of 0 is not known.
  void UpdateCount(uint64_t done, uint64_t total, std::string_view detail);

 private:
  Progress(std::string label, std::string unit, double unit_size, bool enabled,
           bool lines = false);

  // Whether it is time to show something.
  bool Due(double seconds);
  void Show(std::string_view line);

  std::string label_;
  std::string unit_;
  double unit_size_;
  bool enabled_;
  bool lines_;  // for want of a terminal
  uint64_t start_ = 0;
  bool shown_ = false;
  double last_seconds_ = 0;
  Stopwatch stopwatch_;
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_PROGRESS_H_
