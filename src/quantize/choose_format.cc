#include "src/quantize/choose_format.h"

#include <cstddef>
#include <initializer_list>

#include "src/base/status_macros.h"
#include "src/model/tensors/low_rank.h"
#include "src/model/tensors/wanted_format.h"

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
  if (wanted == Format::kN6_16 || wanted == Format::kN5_16) {
    wanted = FirstThatFits({Format::kQ6_K, Format::kQ8_0}, w.cols);
  }
  if (wanted == Format::kN4_16) wanted = Format::kIQ4_NL;
  if (wanted == Format::kN4_32) wanted = Format::kQ4_0;
  const bool is_smaller =
      BitsPerWeight(wanted, w.cols) < BitsPerWeight(kept, w.cols);
  return is_smaller ? wanted : kept;
}

// The type that the options ask for.
WeightType TypeOf(const WeightSpec& spec, const QuantizeOptions& options) {
  if (spec.kind == WeightKind::kTable) {
    return options.table_type.value_or(options.type);
  }
  if (spec.kind == WeightKind::kExperts) {
    return options.expert_type.value_or(options.type);
  }
  return options.type;
}

// Whether a budget of bits, not a type, determines the weight's format.
bool IsBudgeted(const WeightSpec& spec, const QuantizeOptions& options) {
  if (options.bits == 0) return false;
  switch (spec.kind) {
    case WeightKind::kMatrix:
    case WeightKind::kStack:
      return true;
    case WeightKind::kExperts:
      return !options.expert_type.has_value();
    case WeightKind::kTable:
      return !options.table_type.has_value();
    default:
      return false;
  }
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
  return CheckStays(weight, TypeOf(weight.spec, options));
}

// Whether a matrix that is never quantized stays bfloat16.
bool StaysBF16(const Tensor& tensor) {
  return tensor.format == Format::kBF16 && !tensor.arrangement.has_value();
}

Format ChooseFormat(const BoundWeight& weight, const QuantizeOptions& options) {
  const Tensor& tensor = *weight.tensor;
  const bool is_packed = options.layout == FileLayout::kPacked;
  if (tensor.packed.has_value() && weight.low_ranks.empty()) {
    return tensor.format;
  }
  const WeightType type = TypeOf(weight.spec, options);
  switch (weight.spec.kind) {
    case WeightKind::kMatrix:
    case WeightKind::kExperts:
    case WeightKind::kStack:
      return is_packed ? KeptFormat(WantedFormat(type, RowsOf(weight)))
                       : WantedGgufFormat(type, RowsOf(weight));
    case WeightKind::kTable:
      return WantedGgufFormat(type, RowsOf(weight));
    case WeightKind::kExactMatrix:
      return StaysBF16(tensor) ? Format::kBF16 : Format::kF32;
    case WeightKind::kGates:
      return is_packed && tensor.format == Format::kBF16 ? Format::kBF16
                                                         : Format::kF32;
    default:
      return Format::kF32;
  }
}

}  // namespace

absl::StatusOr<std::vector<Format>> ChooseFormats(
    absl::Span<const BoundWeight> weights, const QuantizeOptions& options,
    Workers& workers) {
  for (const BoundWeight& weight : weights) {
    GEMMA_RETURN_IF_ERROR(CheckPacked(weight, options));
  }
  std::vector<FormatChoice> choices;
  for (const BoundWeight& weight : weights) {
    if (!IsBudgeted(weight.spec, options)) {
      choices.push_back({.fixed = ChooseFormat(weight, options)});
    } else if (options.layout == FileLayout::kPacked &&
               weight.spec.kind != WeightKind::kTable) {
      choices.push_back({.ladder = kPackedLadder});
    } else {
      choices.push_back({.ladder = kGgufLadder});
    }
  }
  if (options.bits != 0) {
    return PlanFormats(weights, choices, options.bits, workers);
  }
  std::vector<Format> out;
  for (const FormatChoice& choice : choices) out.push_back(*choice.fixed);
  return out;
}

}  // namespace gemma::internal
