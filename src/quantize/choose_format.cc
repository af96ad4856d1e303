#include "src/quantize/choose_format.h"

#include <cstddef>
#include <initializer_list>

#include "src/base/status_macros.h"
#include "src/model/low_rank.h"
#include "src/model/wanted_format.h"

namespace gemma::internal {
namespace {

// The formats that PlanFormats chooses from for a budget of bits.
constexpr Format kPackedLadder[] = {
    Format::kN4_32, Format::kN4_16, Format::kQ4_0, Format::kN5_16,
    Format::kN6_16, Format::kQ8_0,  Format::kBF16};
constexpr Format kGgufLadder[] = {Format::kQ4_0, Format::kIQ4_NL, Format::kQ6_K,
                                  Format::kQ8_0, Format::kBF16};

// Returns the first format whose blocks divide rows of `cols` values evenly, or
// bfloat16.
Format FirstThatFits(std::initializer_list<Format> formats, size_t cols) {
  for (const Format format : formats) {
    if (cols % BlockValues(format) == 0) return format;
  }
  return Format::kBF16;
}

// As WantedFormat, but returns only formats that GGUF has.
Format WantedGgufFormat(WeightType type, const WeightView& w) {
  Format wanted = WantedFormat(type, w);
  const Format kept = KeptFormat(w.format);
  if (wanted == w.format || wanted == kept) return kept;
  if (wanted == Format::kN6_16) {
    wanted = FirstThatFits({Format::kQ6_K, Format::kQ8_0}, w.cols);
  }
  if (wanted == Format::kN4_16) wanted = Format::kIQ4_NL;
  const bool is_smaller =
      BitsPerWeight(wanted, w.cols) < BitsPerWeight(kept, w.cols);
  return is_smaller ? wanted : kept;
}

// Checks that a packed tensor would only be copied.
absl::Status CheckPacked(const BoundWeight& weight,
                         const QuantizeOptions& options) {
  const bool is_copied =
      options.layout == FileLayout::kPacked && options.bits == 0;
  if (weight.tensor->packed.has_value() && weight.low_ranks.empty() &&
      !is_copied) {
    return PackedAlready(*weight.tensor);
  }
  return CheckStays(weight, options.type);
}

Format ChooseFormat(const BoundWeight& weight, const QuantizeOptions& options) {
  const Tensor& tensor = *weight.tensor;
  const bool is_packed = options.layout == FileLayout::kPacked;
  if (tensor.packed.has_value() && weight.low_ranks.empty()) {
    return tensor.format;
  }
  if (weight.spec.kind == WeightKind::kMatrix) {
    const WeightView rows = RowsOf(weight);
    return is_packed ? KeptFormat(WantedFormat(options.type, rows))
                     : WantedGgufFormat(options.type, rows);
  }
  const bool is_gate = weight.spec.kind == WeightKind::kGates;
  return is_gate && is_packed && tensor.format == Format::kBF16 ? Format::kBF16
                                                                : Format::kF32;
}

}  // namespace

absl::StatusOr<std::vector<Format>> ChooseFormats(
    absl::Span<const BoundWeight> weights, const QuantizeOptions& options,
    Workers& workers) {
  std::vector<Format> out;
  std::vector<Format> budgeted;
  for (const BoundWeight& weight : weights) {
    GEMMA_RETURN_IF_ERROR(CheckPacked(weight, options));
  }
  if (options.bits != 0) {
    const absl::Span<const Format> ladder =
        options.layout == FileLayout::kPacked
            ? absl::Span<const Format>(kPackedLadder)
            : absl::Span<const Format>(kGgufLadder);
    GEMMA_ASSIGN_OR_RETURN(budgeted,
                           PlanFormats(weights, options.bits, ladder, workers));
  }
  for (size_t i = 0; i < weights.size(); ++i) {
    const bool is_matrix = weights[i].spec.kind == WeightKind::kMatrix;
    out.push_back(is_matrix && !budgeted.empty()
                      ? budgeted[i]
                      : ChooseFormat(weights[i], options));
  }
  return out;
}

}  // namespace gemma::internal
