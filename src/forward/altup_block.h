// AltUp (Gemma 3n; arXiv 2301.13310): several residual streams of which a layer
// computes the first, x of the scratch, and predicts the others. LAuReL (arXiv
// 2411.07501): a product of low rank beside the attention.

#ifndef GEMMA_SRC_FORWARD_ALTUP_BLOCK_H_
#define GEMMA_SRC_FORWARD_ALTUP_BLOCK_H_

#include <cstddef>

#include "gemma/model_config.h"
#include "ops/matrix_view.h"
#include "ops/ops.h"
#include "ops/workers.h"
#include "src/forward/scratch.h"
#include "src/model/tensors/weights.h"

namespace gemma::internal {

// The first `rows` rows of a stream: x for stream 0. [rows, model_dim].
MatrixView<float> StreamOf(const Scratch& scratch, size_t stream, size_t rows);

// Makes the other streams from the scaled embeddings, the first `rows` rows of
// x: a product for each stream, as large as the embedding in the mean square.
void SplitStreams(const ModelConfig& config, const Weights& weights,
                  size_t rows, Scratch& scratch, MatMulContext& context);

// Replaces the streams by the layer's predictions,
//   stream i + sum over k of c[i, k] * stream k,
// where c = predict * m, and m = tanh(router(norm(stream 0)) / model_dim).
// Keeps the first one in `scratch.predicted`.
void PredictStreams(const ModelConfig& config, const LayerWeights& weights,
                    size_t rows, Scratch& scratch, Workers& workers);

// x = (x + normed + norm(right(left(normed)))) / sqrt(2), where x is the stream
// with the attention added. Overwrites `scratch.update`.
void LaurelBlock(const ModelConfig& config, const LayerWeights& weights,
                 MatrixView<const float> normed, Scratch& scratch,
                 MatMulContext& context);

// Adds to each stream's prediction (1 + c[i]) times what the layer changed, x
// less the prediction of stream 0. c = correct * m, with m as above, but of x.
void CorrectStreams(const ModelConfig& config, const LayerWeights& weights,
                    size_t rows, Scratch& scratch, Workers& workers);

// x = the mean of x and of the products of the other streams, each made as
// large as x in the mean square.
void MergeStreams(const ModelConfig& config, const Weights& weights,
                  size_t rows, Scratch& scratch, MatMulContext& context);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORWARD_ALTUP_BLOCK_H_
