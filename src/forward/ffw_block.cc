#include "src/forward/ffw_block.h"

#include "ops/ops.h"
#include "src/forward/segment.h"

namespace gemma::internal {

void FfwBlock(const LayerConfig& config, const LayerWeights& weights,
              size_t layer, std::span<const Segment> segments,
              MatrixView<const float> normed, Scratch& scratch,
              MatrixView<float> update, MatMulContext& context) {
  const MatrixView<float> gate =
      Narrowed(scratch.gate, normed.rows, config.ffw_dim);
  const MatrixView<float> up =
      Narrowed(scratch.up, normed.rows, config.ffw_dim);
  GatedMatMul({normed, weights.gate_proj.view, weights.up_proj.view,
               weights.gate_bias, weights.up_bias, up, gate},
              context);
  Tap(TapPoint::kFfwHidden, layer, segments, gate);
  const MatMulJob down = {gate, weights.down_proj.view, weights.down_bias,
                          update};
  MatMul({&down, 1}, context);
}

}  // namespace gemma::internal
