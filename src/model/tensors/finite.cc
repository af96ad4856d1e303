#include "src/model/tensors/finite.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "compression/codec.h"
#include "compression/packed_row.h"
#include "compression/quantize.h"
#include "ops/first_found.h"
#include "src/base/sizes.h"

namespace gemma::internal {
namespace {

// FindNonFinite for rows that decode(row, out) decodes.
template <class Decode>
std::optional<WeightPosition> FindInRows(size_t rows, size_t cols,
                                         Workers& workers, Decode decode) {
  constexpr size_t kRows = 16;  // in a task
  FirstFound first_row;
  workers.ForEach(DivideUp(rows, kRows), [&](size_t task, size_t) {
    std::vector<float> values(cols);
    const size_t begin = task * kRows;
    const size_t end = std::min(begin + kRows, first_row.Get().value_or(rows));
    for (size_t row = begin; row < end; ++row) {
      decode(row, values.data());
      if (AllFinite(values)) continue;
      return first_row.Add(row);
    }
  });
  const std::optional<size_t> row = first_row.Get();
  if (!row.has_value()) return std::nullopt;
  std::vector<float> values(cols);
  decode(*row, values.data());
  const auto bad =
      std::find_if_not(values.begin(), values.end(),
                       [](float value) { return std::isfinite(value); });
  return WeightPosition{*row, static_cast<size_t>(bad - values.begin())};
}

// Whether all values of a weight are finite.
bool IsFinite(const WeightSpec& spec, const Weights& weights,
              Workers& workers) {
  const auto is_finite = [&](const Matrix& matrix) {
    return !FindNonFinite(matrix.view, workers).has_value();
  };
  switch (spec.kind) {
    case WeightKind::kMatrix:
    case WeightKind::kExactMatrix:
      return is_finite(MatrixSlot(spec, weights));
    case WeightKind::kGates:
    case WeightKind::kExperts:
    case WeightKind::kStack:
      return std::ranges::all_of(SlotOf<std::vector<Matrix>>(spec, weights),
                                 is_finite);
    case WeightKind::kTable:
      return !FindNonFinite(SlotOf<RowTable>(spec, weights).view, workers)
                  .has_value();
    case WeightKind::kVector:
    case WeightKind::kNorm:
    case WeightKind::kConv:
    case WeightKind::kRecurrentParam:
      return AllFinite(SlotOf<std::vector<float>>(spec, weights));
  }
  return true;
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

const NamedWeight* FindNonFinite(const std::vector<NamedWeight>& names,
                                 const Weights& weights, Workers& workers) {
  for (const NamedWeight& named : names) {
    const WeightSpec& spec = named.spec;
    if (!IsFinite(spec, weights, workers)) return &named;
  }
  return nullptr;
}

}  // namespace gemma::internal
