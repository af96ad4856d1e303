#include "src/engine/ffw_block.h"

#include "ops/ops.h"
#include "src/engine/tap.h"

namespace gemma {

void FfwBlock(const LayerWeights& weights, size_t layer,
              std::span<const Segment> segments, MatrixView<const float> normed,
              Scratch& scratch, MatrixView<float> update,
              MatMulContext& context) {
  const MatrixView<float> gate = scratch.gate.Rows(0, normed.rows);
  GatedMatMul(
      {normed, weights.gate_proj.view, weights.up_proj.view, weights.gate_bias,
       weights.up_bias, scratch.up.Rows(0, normed.rows), gate},
      context);
  Tap(TapPoint::kFfwHidden, layer, segments, gate);
  const MatMulJob down = {gate, weights.down_proj.view, weights.down_bias,
                          update};
  MatMul({&down, 1}, context);
}

}  // namespace gemma
