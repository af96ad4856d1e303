#include "src/quantize/choose_format.h"

#include <initializer_list>

namespace gemma {
namespace {

// Bytes of a row as long as the tensor's.
size_t RowBytes(const Tensor& tensor, Format format) {
  return WeightView{format, 1, tensor.shape.back(), nullptr}.RowBytes();
}

// The first of GGUF's formats whose blocks rows of `cols` values consist of.
Format FirstThatFits(std::initializer_list<Format> formats, size_t cols) {
  for (const Format format : formats) {
    if (cols % BlockValues(format) == 0) return format;
  }
  return Format::kBF16;
}

Format FormatOf(WeightType type, const Tensor& tensor) {
  const size_t cols = tensor.shape.back();
  switch (type) {
    case WeightType::kKeep:
      return tensor.format;
    case WeightType::kBF16:
      return Format::kBF16;
    case WeightType::kQ8:
      return FirstThatFits({Format::kQ8_0}, cols);
    case WeightType::kQ6:
      return FirstThatFits({Format::kQ6_K, Format::kQ8_0}, cols);
    case WeightType::kQ4:
      return FirstThatFits({Format::kIQ4_NL}, cols);
    case WeightType::kQ4_0:
      return FirstThatFits({Format::kQ4_0}, cols);
  }
  return tensor.format;
}

}  // namespace

Format ChooseFormat(const WeightSpec& spec, const Tensor& tensor,
                    const QuantizeOptions& options) {
  if (spec.kind != WeightKind::kMatrix) return Format::kF32;
  const Format wanted = FormatOf(options.type, tensor);
  const bool is_small_enough =
      RowBytes(tensor, tensor.format) <= RowBytes(tensor, wanted);
  return is_small_enough ? tensor.format : wanted;
}

}  // namespace gemma
