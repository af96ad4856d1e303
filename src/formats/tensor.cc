#include "src/formats/tensor.h"

#include "compression/codec.h"
#include "src/base/status_macros.h"
#include "src/formats/tensor_values.h"

namespace gemma::internal {

WeightView RowsOf(const Tensor& tensor) {
  // Blocks do not cross rows.
  const size_t cols = tensor.shape.back();
  return {tensor.format, tensor.NumValues() / cols, cols,
          tensor.arrangement.has_value() ? nullptr : tensor.data};
}

absl::StatusOr<std::vector<float>> Decode(const Tensor& tensor) {
  GEMMA_ASSIGN_OR_RETURN(const TensorValues values, TensorValues::Read(tensor));
  WeightView view = RowsOf(tensor);
  view.data = values.data();
  std::vector<float> out(view.rows * view.cols);
  for (size_t row = 0; row < view.rows; ++row) {
    DecodeRow(view, row, out.data() + row * view.cols);
  }
  return out;
}

}  // namespace gemma::internal
