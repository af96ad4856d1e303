// RecurrentGemma's recurrent block (Griffin, arXiv 2402.19427).

#ifndef GEMMA_SRC_FORWARD_RECURRENT_BLOCK_H_
#define GEMMA_SRC_FORWARD_RECURRENT_BLOCK_H_

#include <cstddef>
#include <span>

#include "gemma/model_config.h"
#include "ops/matrix_view.h"
#include "ops/ops.h"
#include "src/forward/scratch.h"
#include "src/forward/segment.h"
#include "src/model/tensors/weights.h"

namespace gemma::internal {

// Computes update = recurrence over normed, both [number of tokens, model_dim],
// and advances the states of the segments' sequences.
void RecurrentBlock(const ModelConfig& config, const LayerWeights& weights,
                    size_t layer, std::span<const Segment> segments,
                    MatrixView<const float> normed, Scratch& scratch,
                    MatrixView<float> update, MatMulContext& context);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORWARD_RECURRENT_BLOCK_H_
