#include "src/quantize/finite.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <vector>

#include "compression/codec.h"
#include "compression/packed_row.h"

namespace gemma {
namespace {

bool IsFinite(float value) {
  return (std::bit_cast<uint32_t>(value) & 0x7F800000) != 0x7F800000;
}

// Whether all are; without a branch for each, for vectors.
bool AllFinite(const std::vector<float>& values) {
  uint32_t bad = 0;
  for (const float value : values) bad |= IsFinite(value) ? 0 : 1;
  return bad == 0;
}

// Of rows that decode(row, out) decodes.
template <class Decode>
std::optional<WeightPosition> FindInRows(size_t rows, size_t cols,
                                         Workers& workers, Decode decode) {
  constexpr size_t kRows = 16;  // of a task
  std::atomic<size_t> first_row = rows;
  workers.ForEach((rows + kRows - 1) / kRows, [&](size_t task, size_t) {
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
  const auto bad = std::find_if_not(values.begin(), values.end(), IsFinite);
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
