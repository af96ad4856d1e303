// What passes of a few rows take, compared with those of one.

#ifndef GEMMA_SRC_FORWARD_PASS_COSTS_H_
#define GEMMA_SRC_FORWARD_PASS_COSTS_H_

#include <array>
#include <cstddef>
#include <mutex>

namespace gemma::internal {

// Measurements that a mean of times remembers.
inline constexpr size_t kTimesMemory = 8;

// A mean that forgets.
struct FadingMean {
  double value = 0;
  size_t count = 0;

  // Weighs as much as one of the last `memory` values.
  void Add(double measured, size_t memory);
  // The same of a time: however long a pass was held up, it counts as twice the
  // mean at most. What interrupts a pass makes it longer, never shorter.
  void AddTime(double measured);
};

// Times of passes by their rows, in passes of one row.
class PassCosts {
 public:
  static constexpr size_t kMaxRows = 16;

  // What passes cost before any was measured.
  static double FirstGuess(size_t rows);

  // A pass of 2 to kMaxRows rows took so much.
  void Add(size_t rows, double cost);

  bool measured(size_t rows) const { return costs_[rows].count != 0; }
  // The most rows of any pass that was measured; 2 if none was.
  size_t most_rows() const { return most_rows_; }

  // The cost of a pass of 1 to kMaxRows rows: measured, or a guess that is low
  // enough for the pass to be tried.
  double Cost(size_t rows) const;

 private:
  double Guess(size_t rows) const;

  std::array<FadingMean, kMaxRows + 1> costs_ = {{{}, {1, 1}}};  // by rows
  size_t most_rows_ = 2;
};

// Those of a model on this machine, which its sessions measure on any threads:
// what one has learned, the others know.
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
