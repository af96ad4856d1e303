#include "src/forward/ffw_block.h"

#include "ops/ops.h"
#include "src/forward/segment.h"

namespace gemma::internal {

GeluForm GeluOf(const ModelConfig& config) {
  return config.exact_gelu ? GeluForm::kExact : GeluForm::kTanh;
}

void FfwBlock(const ModelConfig& model, const LayerWeights& weights,
              size_t layer, std::span<const Segment> segments,
              MatrixView<const float> normed, Scratch& scratch,
              MatrixView<float> update, MatMulContext& context) {
  const LayerConfig& config = model.layers[layer];
  const MatrixView<float> gate =
      Narrowed(scratch.gate, normed.rows, config.ffw_dim);
  const MatrixView<float> up =
      Narrowed(scratch.up, normed.rows, config.ffw_dim);
  GatedMatMul({normed, weights.gate_proj.view, weights.up_proj.view,
               weights.gate_bias, weights.up_bias, up, gate, GeluOf(model)},
              context);
  Tap(TapPoint::kFfwHidden, layer, segments, gate);
  const MatMulJob down = {gate, weights.down_proj.view, weights.down_bias,
                          update};
  MatMul({&down, 1}, context);
}

}  // namespace gemma::internal
