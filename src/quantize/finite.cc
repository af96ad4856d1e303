#include "src/quantize/finite.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include "compression/codec.h"
#include "compression/packed_row.h"
#include "compression/quantize.h"
#include "src/base/divide_up.h"

namespace gemma {
namespace {

// Of rows that decode(row, out) decodes.
template <class Decode>
std::optional<WeightPosition> FindInRows(size_t rows, size_t cols,
                                         Workers& workers, Decode decode) {
  constexpr size_t kRows = 16;  // of a task
  std::atomic<size_t> first_row = rows;
  workers.ForEach(DivideUp(rows, kRows), [&](size_t task, size_t) {
    std::vector<float> values(cols);
    const size_t begin = task * kRows;
    const size_t end = std::min(begin + kRows, first_row.load());
    for (size_t row = begin; row < end; ++row) {
      decode(row, values.data());
      if (AllFinite(values)) continue;
      size_t before = first_row.load();
      while (row < before && !first_row.compare_exchange_weak(before, row)) {
      }
      return;
    }
  });
  const size_t row = first_row.load();
  if (row == rows) return std::nullopt;
  std::vector<float> values(cols);
  decode(row, values.data());
  const auto bad =
      std::find_if_not(values.begin(), values.end(),
                       [](float value) { return std::isfinite(value); });
  return WeightPosition{row, static_cast<size_t>(bad - values.begin())};
}

}  // namespace

std::optional<WeightPosition> FindNonFinite(const WeightView& view,
                                            Workers& workers) {
  return FindInRows(view.rows, view.cols, workers,
                    [&](size_t row, float* out) { DecodeRow(view, row, out); });
}

std::optional<WeightPosition> FindNonFinite(const PackedView& view,
                                            Workers& workers) {
  return FindInRows(view.rows, view.cols, workers, [&](size_t row, float* out) {
    DecodePackedRow(view, row, out);
  });
}

}  // namespace gemma
