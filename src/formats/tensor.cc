#include "src/formats/tensor.h"

#include "compression/codec.h"

namespace gemma {

WeightView RowsOf(const Tensor& tensor) {
  // Rows hold whole blocks.
  const size_t cols = tensor.shape.back();
  return {tensor.format, tensor.NumValues() / cols, cols, tensor.data};
}

std::vector<float> Decode(const Tensor& tensor) {
  const WeightView view = RowsOf(tensor);
  std::vector<float> out(view.rows * view.cols);
  for (size_t row = 0; row < view.rows; ++row) {
    DecodeRow(view, row, out.data() + row * view.cols);
  }
  return out;
}

}  // namespace gemma
