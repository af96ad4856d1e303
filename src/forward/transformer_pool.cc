// Pools the states of each text to one vector.

#include <algorithm>
#include <vector>

#include "ops/ops.h"
#include "src/forward/segment.h"
#include "src/forward/transformer.h"

namespace gemma::internal {

void Transformer::Embed(std::span<const Segment> segments,
                        MatrixView<float> out) {
  RunBlocks(segments);
  if (config_.dense_dims.empty()) return Pool(segments, out);
  // They fit, because each segment has at least one row.
  const MatrixView<float> pooled = scratch_.update.Rows(0, segments.size());
  Pool(segments, pooled);
  Project(pooled, out);
}

// out[i] = the mean of the normalized states of segment i.
void Transformer::Pool(std::span<const Segment> segments,
                       MatrixView<float> out) {
  const MatrixView<float> normed = scratch_.normed.Rows(0, rows_.size());
  NormRows(scratch_.x.Rows(0, rows_.size()), weights_.final_norm, normed);
  Tap(TapPoint::kHeadInput, config_.num_layers(), segments, normed);
  size_t row = 0;
  for (size_t i = 0; i < segments.size(); ++i) {
    const std::span<float> mean = out.Row(i);
    std::fill(mean.begin(), mean.end(), 0.0f);
    const size_t count = segments[i].words.size();
    for (const size_t end = row + count; row < end; ++row) {
      AddTo(normed.Row(row), mean);
    }
    for (float& value : mean) value /= static_cast<float>(count);
  }
}

// out = the result of the dense layers, one after the other, for `pooled`.
// Activations are not rounded here, because these products are few and come
// last.
void Transformer::Project(MatrixView<const float> pooled,
                          MatrixView<float> out) {
  MatMulContext exact(Arithmetic::kFloat32, 1, 1, context_.workers());
  MatrixView<const float> x = pooled;
  std::vector<float> x_values;
  std::vector<float> to_values;
  for (const Matrix& dense : weights_.dense) {
    MatrixView<float> to = out;
    if (&dense != &weights_.dense.back()) {
      to_values.resize(x.rows * dense.view.rows);
      to = {to_values.data(), x.rows, dense.view.rows};
    }
    const MatMulJob job = {x, dense.view, {}, to};
    MatMul({&job, 1}, exact);
    x = to;
    x_values.swap(to_values);  // x still refers to the values
  }
}

}  // namespace gemma::internal
