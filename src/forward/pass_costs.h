// Costs of passes with a few rows, compared with passes of one row.

#ifndef GEMMA_SRC_FORWARD_PASS_COSTS_H_
#define GEMMA_SRC_FORWARD_PASS_COSTS_H_

#include <array>
#include <cstddef>
#include <mutex>

namespace gemma::internal {

// How many measurements a mean of times remembers.
inline constexpr size_t kTimesMemory = 8;

// A mean that slowly forgets old values.
struct FadingMean {
  double value = 0;
  size_t count = 0;

  // Adds a value that weighs as much as one of the last `memory` values.
  void Add(double measured, size_t memory);
  // As Add, for a time. After the first two values, a time counts as at most
  // twice the mean, because an interruption makes a pass longer, never shorter.
  void AddTime(double measured);
};

// Costs of passes by their number of rows. The unit is the time of a pass of
// one row.
class PassCosts {
 public:
  static constexpr size_t kMaxRows = 16;

  // The guessed cost of a pass before any was measured.
  static double FirstGuess(size_t rows);

  // Adds the measured cost of a pass of 2 to kMaxRows rows.
  void Add(size_t rows, double cost);

  bool measured(size_t rows) const { return costs_[rows].count != 0; }
  // The most rows of any measured pass, at least 2.
  size_t most_rows() const { return most_rows_; }

  // The cost of a pass of 1 to kMaxRows rows: the measured cost, or a guess
  // that is low enough for such passes to be tried.
  double Cost(size_t rows) const;

 private:
  double Guess(size_t rows) const;

  std::array<FadingMean, kMaxRows + 1> costs_ = {{{}, {1, 1}}};  // by rows
  size_t most_rows_ = 2;
};

// The costs of a model on this machine. Its sessions share them and measure
// them on any threads, so that each session learns from all others.
class SharedPassCosts {
 public:
  PassCosts Get() const {
    const std::lock_guard lock(mutex_);
    return costs_;
  }
  void Add(size_t rows, double cost) {
    const std::lock_guard lock(mutex_);
    costs_.Add(rows, cost);
  }

 private:
  mutable std::mutex mutex_;
  PassCosts costs_;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORWARD_PASS_COSTS_H_
