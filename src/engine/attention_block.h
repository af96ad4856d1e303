// Attention, global or local.

#ifndef GEMMA_SRC_ENGINE_ATTENTION_BLOCK_H_
#define GEMMA_SRC_ENGINE_ATTENTION_BLOCK_H_

#include <cstddef>
#include <span>

#include "gemma/model_config.h"
#include "ops/matrix_view.h"
#include "ops/ops.h"
#include "src/engine/batch.h"
#include "src/engine/scratch.h"
#include "src/model/weights.h"

namespace gemma {

// update = attention of normed, both [rows.size(), model_dim], and stores the
// rows' keys and values. The scratch holds the rows' RoPE angles. `scores`:
// [threads, keys], at least as many keys as a row may see.
void AttentionBlock(const ModelConfig& config, const LayerWeights& weights,
                    size_t layer, std::span<const BatchRow> rows,
                    MatrixView<const float> normed, Scratch& scratch,
                    MatrixView<float> scores, MatrixView<float> update,
                    MatMulContext& context);

}  // namespace gemma

#endif  // GEMMA_SRC_ENGINE_ATTENTION_BLOCK_H_
