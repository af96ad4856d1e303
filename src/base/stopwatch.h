// Measures elapsed time.

#ifndef GEMMA_SRC_BASE_STOPWATCH_H_
#define GEMMA_SRC_BASE_STOPWATCH_H_

#include <chrono>

namespace gemma::internal {

// Starts when it is constructed or assigned.
class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(Clock::now() - start_).count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BASE_STOPWATCH_H_
