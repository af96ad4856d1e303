#include "src/model/tensors/wanted_format.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "src/model/tensors/sampled_error.h"

namespace gemma::internal {
namespace {

// Limit of the relative error in Q4_0. Weights that were trained for Q4_0 and
// rounded to bfloat16 have 0.17 %, other weights 8 %.
constexpr double kOnGridError = 0.005;
constexpr size_t kGridRows = 16;

// The format of a type. Not for kKeep.
Format FormatOf(WeightType type) {
  switch (type) {
    case WeightType::kKeep:
    case WeightType::kBF16:
      return Format::kBF16;
    case WeightType::kQ8:
      return Format::kQ8_0;
    case WeightType::kQ6:
      return Format::kN6_16;
    case WeightType::kQ5:
      return Format::kN5_16;
    case WeightType::kQ4:
      return Format::kN4_16;
    case WeightType::kQ4S:
      return Format::kN4_32;
    case WeightType::kQ4_0:
      return Format::kQ4_0;
  }
  return Format::kBF16;
}

}  // namespace

double BitsPerWeight(Format format, size_t cols) {
  const WeightView row = {format, 1, cols, nullptr};
  return 8.0 * static_cast<double>(row.RowBytes()) / static_cast<double>(cols);
}

Format KeptFormat(Format format) {
  switch (LayoutOf(format)) {
    case Layout::kBF16:
      return Format::kBF16;
    case Layout::kF32:
      return Format::kF32;
    default:
      return format;
  }
}

bool IsTrainedForQ4_0(const WeightView& w) {
  if (w.data == nullptr || BlockValues(w.format) != 1 || w.cols % 32 != 0) {
    return false;
  }
  const size_t count = std::min(kGridRows, w.rows);
  for (size_t i = 0; i < count; ++i) {
    const WeightView row = {w.format, 1, w.cols, w.Row(i * w.rows / count)};
    const auto error = SampledError(row, Format::kQ4_0, /*max_rows=*/1);
    if (!error || *error > kOnGridError * kOnGridError) return false;
  }
  return true;
}

Format WantedFormat(WeightType type, const WeightView& w) {
  if (type == WeightType::kKeep) return w.format;
  const Format kept = KeptFormat(w.format);
  Format wanted = FormatOf(type);
  if (w.cols % BlockValues(wanted) != 0) wanted = Format::kBF16;
  if (BitsPerWeight(kept, w.cols) <= BitsPerWeight(wanted, w.cols)) {
    return kept;
  }
  // Keeps the codes of Q4_0, which training may have chosen: q4s would be a
  // sixteenth smaller, but lose them.
  const bool has_codes = w.format == Format::kQ4_0 ||
                         (BlockValues(wanted) != 1 && IsTrainedForQ4_0(w));
  return has_codes ? Format::kQ4_0 : wanted;
}

absl::Status PackedAlready(const Tensor& tensor) {
  return absl::InvalidArgumentError(absl::StrCat(
      tensor.file,
      ": is packed already, wanted the file that it was made from"));
}

absl::Status CheckStays(const BoundWeight& weight, WeightType type) {
  const Tensor& tensor = *weight.tensor;
  const WeightKind kind = weight.spec.kind;
  const bool may_change = kind == WeightKind::kMatrix ||
                          kind == WeightKind::kExperts ||
                          kind == WeightKind::kStack;
  if (!tensor.packed.has_value() || !may_change || !weight.low_ranks.empty()) {
    return absl::OkStatus();
  }
  // Its bytes are packed panels, not rows that can be inspected.
  WeightView view = RowsOf(tensor);
  view.data = nullptr;
  return WantedFormat(type, view) == tensor.format ? absl::OkStatus()
                                                   : PackedAlready(tensor);
}

}  // namespace gemma::internal
