// A line that says how far something is.

#ifndef GEMMA_TOOLS_GEMMA_PROGRESS_H_
#define GEMMA_TOOLS_GEMMA_PROGRESS_H_

#include <chrono>
#include <cstdint>
#include <string>

namespace gemma::tools {

// Seconds from construction on.
class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(Clock::now() - start_).count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

bool StderrIsTerminal();

// Shown on standard error if that is a terminal, and erased at the end. Nothing
// else may be printed meanwhile.
class Progress {
 public:
  // With a unit, for example "tok", the line also tells the rate and the time
  // left.
  explicit Progress(std::string label, std::string unit = "");
  // Of bytes, with a rate in MB/s. `quiet`: never shown.
  static Progress OfBytes(std::string label, bool quiet);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // What was done before this began; the rate does not count it.
  void StartAt(uint64_t done) { start_ = done; }

  void Update(uint64_t done, uint64_t total);

 private:
  Progress(std::string label, std::string unit, double unit_size, bool enabled);

  std::string label_;
  std::string unit_;
  double unit_size_;
  bool enabled_;
  uint64_t start_ = 0;
  bool shown_ = false;
  double last_seconds_ = 0;
  Stopwatch stopwatch_;
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_PROGRESS_H_
