// The gated feed-forward block.

#ifndef GEMMA_SRC_FORWARD_FFW_BLOCK_H_
#define GEMMA_SRC_FORWARD_FFW_BLOCK_H_

#include <cstddef>
#include <span>

#include "gemma/model_config.h"
#include "ops/matrix_view.h"
#include "ops/ops.h"
#include "src/forward/scratch.h"
#include "src/forward/segment.h"
#include "src/model/tensors/weights.h"

namespace gemma::internal {

// The activation of the model's gates.
GeluForm GeluOf(const ModelConfig& config);

// update = down(gelu(gate(normed)) * up(normed)), both [number of tokens,
// model_dim]. With LayerConfig::gate_cutoff, the gates are cut before gelu.
void FfwBlock(const ModelConfig& model, const LayerWeights& weights,
              size_t layer, std::span<const Segment> segments,
              MatrixView<const float> normed, Scratch& scratch,
              MatrixView<float> update, MatMulContext& context);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORWARD_FFW_BLOCK_H_
