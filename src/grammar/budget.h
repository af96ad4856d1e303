// Limits on what compiling a grammar costs.

#ifndef GEMMA_SRC_GRAMMAR_BUDGET_H_
#define GEMMA_SRC_GRAMMAR_BUDGET_H_

#include <cstddef>
#include <string>

#include "src/base/format_text.h"

namespace gemma::internal {

// Counts the steps and bytes of a compile. The same text costs the same on
// every machine. Code whose cost may grow faster than the text spends here
// first and gives up if a limit would be exceeded.
class Budget {
 public:
  struct Limits {
    // Visits of a byte, a keyword or a part: about 20 to 200 ns each.
    size_t steps = size_t{1} << 24;
    // The approximate size of expressions, parts and places. Freed memory still
    // counts.
    size_t bytes = size_t{1} << 26;
  };

  Budget() = default;
  explicit Budget(const Limits& limits) : limits_(limits) {}

  // Counts steps and bytes and returns true while they are within the limits.
  // After that, counts nothing and always returns false.
  bool Spend(size_t steps, size_t bytes = 0) {
    if (exhausted()) return false;
    if (steps > limits_.steps - steps_) {
      passed_ = Passed::kSteps;
    } else if (bytes > limits_.bytes - bytes_) {
      passed_ = Passed::kBytes;
    } else {
      steps_ += steps;
      bytes_ += bytes;
    }
    return !exhausted();
  }
  bool exhausted() const { return passed_ != Passed::kNothing; }

  size_t steps() const { return steps_; }
  size_t bytes() const { return bytes_; }

  // Names the limit that was exceeded, for messages.
  std::string Excess() const {
    const bool steps = passed_ == Passed::kSteps;
    return FormatText(
        "compiling takes more than %u %s, wanted a smaller grammar",
        steps ? limits_.steps : limits_.bytes, steps ? "steps" : "bytes");
  }

 private:
  enum class Passed { kNothing, kSteps, kBytes };

  Limits limits_;
  Passed passed_ = Passed::kNothing;
  size_t steps_ = 0;
  size_t bytes_ = 0;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GRAMMAR_BUDGET_H_
