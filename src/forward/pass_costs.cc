#include "src/forward/pass_costs.h"

#include <algorithm>

namespace gemma::internal {
namespace {

// The guessed cost of each further row. It is less where passes wait for
// weights from memory, and more where arithmetic counts.
constexpr double kGuessedRow = 0.25;

}  // namespace

void FadingMean::Add(double measured, size_t memory) {
  count = std::min(count + 1, memory);
  value += (measured - value) / static_cast<double>(count);
}

void FadingMean::AddTime(double measured) {
  Add(count > 1 ? std::min(measured, 2 * value) : measured, kTimesMemory);
}

double PassCosts::FirstGuess(size_t rows) {
  return 1 + kGuessedRow * static_cast<double>(rows - 1);
}

void PassCosts::Add(size_t rows, double cost) {
  FadingMean& mean = costs_[rows];
  // The guess counts as one measurement, because the first real one may be far
  // off.
  if (mean.count == 0) mean = {Guess(rows), 1};
  mean.AddTime(cost);
  most_rows_ = std::max(most_rows_, rows);
}

double PassCosts::Cost(size_t rows) const {
  return measured(rows) ? costs_[rows].value : Guess(rows);
}

double PassCosts::Guess(size_t rows) const {
  // The cost of the largest measured pass with fewer rows, plus a cost per
  // further row.
  size_t fewer = rows - 1;
  while (!measured(fewer)) --fewer;
  double row = kGuessedRow;
  if (fewer > 1) {
    const double average = (Cost(fewer) - 1) / static_cast<double>(fewer - 1);
    row = std::clamp(average, 0.0, kGuessedRow);
  }
  const double guess = Cost(fewer) + row * static_cast<double>(rows - fewer);
  // No more than the cost of a measured pass with more rows.
  for (size_t more = rows + 1; more < costs_.size(); ++more) {
    if (measured(more)) return std::min(guess, Cost(more));
  }
  return guess;
}

}  // namespace gemma::internal
