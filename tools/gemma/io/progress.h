// A line that shows the progress of a task.

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

// Returns the time left, at the rate of the last `seconds`, in which the work
// grew from `start` to `done`. Returns nullopt if it did not grow, or if `done`
// is more than `total`.
std::optional<double> SecondsLeft(uint64_t start, uint64_t done, uint64_t total,
                                  double seconds);

// "5 s", "1 min 05 s", "2 h 00 min".
std::string DurationText(double seconds);

// Shows the line on standard error if that is a terminal, and erases it at the
// end. Print nothing else meanwhile.
class Progress {
 public:
  // With a unit, for example "tok", the line also shows the rate and the time
  // left.
  explicit Progress(std::string label, std::string unit = "");
  // Counts bytes, with a rate in MB/s. `quiet`: shows nothing.
  static Progress OfBytes(std::string label, bool quiet);
  // Counts items. `quiet`: shows nothing. `verbose`: without a terminal, prints
  // a new line every few seconds.
  static Progress OfCount(std::string label, bool quiet, bool verbose);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Sets the work that was done before this began. The rate does not count it.
  void StartAt(uint64_t done) { start_ = done; }

  void Update(uint64_t done, uint64_t total);
  // Shows "answering 3/10, <detail>, 5 s left". A total of 0 is unknown.
  void UpdateCount(uint64_t done, uint64_t total, std::string_view detail);

 private:
  Progress(std::string label, std::string unit, double unit_size, bool enabled,
           bool lines = false);

  // Returns whether it is time to show the line.
  bool Due(double seconds);
  void Show(std::string_view line);

  std::string label_;
  std::string unit_;
  double unit_size_;
  bool enabled_;
  bool lines_;  // print new lines, because there is no terminal
  uint64_t start_ = 0;
  bool shown_ = false;
  double last_seconds_ = 0;
  Stopwatch stopwatch_;
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_PROGRESS_H_
