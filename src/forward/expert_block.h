// The mixture of experts beside the feed-forward block.

#ifndef GEMMA_SRC_FORWARD_EXPERT_BLOCK_H_
#define GEMMA_SRC_FORWARD_EXPERT_BLOCK_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "gemma/model_config.h"
#include "ops/aligned_buffer.h"
#include "ops/experts.h"
#include "ops/matrix_view.h"
#include "ops/ops.h"
#include "src/forward/segment.h"
#include "src/model/tensors/weights.h"

namespace gemma::internal {

// The experts that the rows of a pass chose, and memory for their results.
class ExpertScratch {
 public:
  // For up to max_rows rows; takes no memory if the model has no experts.
  ExpertScratch(const ModelConfig& config, size_t max_rows);
  bool ok() const { return memory_.data() != nullptr; }
  static uint64_t Bytes(const ModelConfig& config, size_t max_rows);
  // Bytes that the buffer of a MatMulContext needs for experts.
  static size_t ContextBytes(const ModelConfig& config, size_t max_rows);

  MatrixView<float> normed;   // [max_rows, model_dim]
  MatrixView<float> sum;      // [max_rows, model_dim]
  MatrixView<float> logits;   // [max_rows, num_experts], of the router
  MatrixView<float> choices;  // [max_rows, 2 * experts_used], as in TapPoint
  MatrixView<float> hidden;   // [max_rows, experts_used * expert_dim]

  // Sorts the choices of num_rows rows by experts: sets all fields below but
  // the weights.
  void Sort(const LayerWeights& layer, size_t num_rows, size_t used);
  // Sets the weights to those of the choices.
  void TakeWeights();

  // The experts used and, for each use, the other fields of ExpertsJob.
  std::vector<Expert> experts;
  std::vector<uint32_t> rows;
  std::vector<uint32_t> slots;
  std::vector<float> weights;

 private:
  AlignedBuffer memory_;
  std::vector<uint32_t> ends_;  // of each expert's uses, then their number
};

// Adds the experts' results to `update`, which holds the feed-forward block's
// result:
//   update = norm(update) + norm(sum over the chosen e of weight[e] *
//            down[e](gelu(gate[e](n)) * up[e](n))), n = norm(x)
// The router, which chooses and weighs the experts, multiplies x with a norm of
// its own. Four norms differ in their weights; x and update are [number of
// tokens, model_dim].
void ExpertBlock(const ModelConfig& model, const LayerWeights& weights,
                 size_t layer, std::span<const Segment> segments,
                 MatrixView<const float> x, ExpertScratch& scratch,
                 MatrixView<float> update, MatMulContext& context);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORWARD_EXPERT_BLOCK_H_
