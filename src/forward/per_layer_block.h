// Per-layer embeddings (Gemma 4): each layer adds what a gate makes of a vector
// of its own, which depends on the token and on its embedding.

#ifndef GEMMA_SRC_FORWARD_PER_LAYER_BLOCK_H_
#define GEMMA_SRC_FORWARD_PER_LAYER_BLOCK_H_

#include <cstddef>
#include <span>

#include "gemma/model_config.h"
#include "ops/matrix_view.h"
#include "ops/ops.h"
#include "src/forward/scratch.h"
#include "src/forward/segment.h"
#include "src/model/tensors/weights.h"

namespace gemma::internal {

// Prepares scratch.per_layer from the scaled embeddings x. The vector of a
// layer is its part of the product of x with per_layer_context, normalized.
// With a table, the token's row is added, and the sum divided by sqrt(2); rows
// that are given as vectors use row 0, as transformers' padding token. These
// vectors of all layers are then in scratch.per_layer. Without a table, it
// holds x, of which each layer computes its own vector.
void EmbedPerLayer(const ModelConfig& config, const Weights& weights,
                   std::span<const BatchRow> rows, MatrixView<const float> x,
                   Scratch& scratch, MatMulContext& context);

// Computes update = proj(gelu(gate(x)) * the layer's vector), both [rows,
// model_dim]. Needs EmbedPerLayer before.
void PerLayerBlock(const ModelConfig& config, const Weights& all, size_t layer,
                   std::span<const Segment> segments, MatrixView<const float> x,
                   Scratch& scratch, MatrixView<float> update,
                   MatMulContext& context);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORWARD_PER_LAYER_BLOCK_H_
