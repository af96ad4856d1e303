#include "src/quantize/choose_format.h"

namespace gemma {
namespace {

double BitsPerWeight(Format format) {
  return 8.0 * static_cast<double>(BlockBytes(format)) /
         static_cast<double>(BlockValues(format));
}

Format FormatOf(WeightType type, Format source) {
  switch (type) {
    case WeightType::kKeep:
      return source;
    case WeightType::kBF16:
      return Format::kBF16;
    case WeightType::kQ8:
      return Format::kQ8_0;
    case WeightType::kQ6:
      return Format::kQ6_K;
    case WeightType::kQ4:
      return Format::kIQ4_NL;
    case WeightType::kQ4_0:
      return Format::kQ4_0;
  }
  return source;
}

}  // namespace

Format ChooseFormat(const WeightSpec& spec, const Tensor& tensor,
                    const QuantizeOptions& options) {
  if (spec.kind != WeightKind::kMatrix) return Format::kF32;
  const Format wanted = FormatOf(options.type, tensor.format);
  return BitsPerWeight(tensor.format) <= BitsPerWeight(wanted) ? tensor.format
                                                               : wanted;
}

}  // namespace gemma
