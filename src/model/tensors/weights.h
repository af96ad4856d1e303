// The weights of a model, in the form that the forward pass uses.

#ifndef GEMMA_SRC_MODEL_TENSORS_WEIGHTS_H_
#define GEMMA_SRC_MODEL_TENSORS_WEIGHTS_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "compression/weight_view.h"
#include "gemma/model.h"
#include "gemma/model_config.h"
#include "ops/aligned_buffer.h"
#include "ops/workers.h"
#include "src/formats/checkpoint.h"

namespace gemma::internal {

struct Outline;

// A packed matrix and its memory.
struct Matrix {
  AlignedBuffer memory;  // empty: the data is in the checkpoint's mapped file
  PackedView view;       // no rows: the model has no such matrix
};

// A matrix whose rows are read one at a time, as a file stores them.
struct RowTable {
  AlignedBuffer memory;  // empty: the data is in the checkpoint's mapped file
  WeightView view;       // no rows: the model has no such table
};

// The weights of one layer; those that a model lacks are empty. Norm weights
// are the factors that multiply activations.
struct LayerWeights {
  std::vector<float> pre_mix_norm, post_mix_norm;  // [model_dim]
  std::vector<float> pre_ffw_norm, post_ffw_norm;  // [model_dim]

  // Attention.
  Matrix q_proj;                      // [num_heads * head_dim, model_dim]
  Matrix k_proj, v_proj;              // [num_kv_heads * head_dim, model_dim]
  Matrix o_proj;                      // [model_dim, num_heads * head_dim]
  std::vector<float> o_bias;          // [model_dim]
  std::vector<float> q_norm, k_norm;  // [head_dim]

  // Feed forward.
  Matrix gate_proj, up_proj;              // [ffw_dim, model_dim]
  Matrix down_proj;                       // [model_dim, ffw_dim]
  std::vector<float> gate_bias, up_bias;  // [ffw_dim]
  std::vector<float> down_bias;           // [model_dim]

  // Mixture of experts, with a matrix of each kind for each expert.
  Matrix router;                        // [num_experts, model_dim]
  std::vector<float> router_scale;      // [model_dim]
  std::vector<float> expert_scale;      // [num_experts]
  std::vector<float> pre_expert_norm;   // [model_dim], of the experts' input
  std::vector<float> post_dense_norm;   // [model_dim], of down_proj's output
  std::vector<float> post_expert_norm;  // [model_dim], of the experts' sum
  std::vector<Matrix> expert_gate, expert_up;  // [expert_dim, model_dim] each
  std::vector<Matrix> expert_down;             // [model_dim, expert_dim] each

  // Per-layer embeddings.
  Matrix per_layer_gate;                   // [per_layer_dim, model_dim]
  Matrix per_layer_proj;                   // [model_dim, per_layer_dim]
  std::vector<float> post_per_layer_norm;  // [model_dim]

  std::vector<float> layer_scale;  // [1], multiplies the layer's output

  // AltUp: the router chooses how strongly the coefficients count.
  Matrix altup_router;                    // [altup_streams, model_dim]
  std::vector<float> altup_router_norm;   // [model_dim]
  std::vector<float> altup_predict;       // [altup_streams^2, altup_streams]
  std::vector<float> altup_correct;       // [altup_streams, altup_streams]
  std::vector<float> altup_output_scale;  // [model_dim]

  // LAuReL.
  Matrix laurel_left;                   // [laurel_rank, model_dim]
  Matrix laurel_right;                  // [model_dim, laurel_rank]
  std::vector<float> post_laurel_norm;  // [model_dim]

  // Recurrence. A gate has one square matrix for each of num_heads strips of
  // channels.
  Matrix linear_x, linear_y;                        // [lru_width, model_dim]
  std::vector<float> linear_x_bias, linear_y_bias;  // [lru_width]
  Matrix linear_out;                                // [model_dim, lru_width]
  std::vector<float> linear_out_bias;               // [model_dim]
  std::vector<float> conv;       // [conv_width, lru_width], oldest tap first
  std::vector<float> conv_bias;  // [lru_width]
  std::vector<Matrix> input_gate, recurrent_gate;  // [strip, strip] each
  std::vector<float> input_gate_bias, recurrent_gate_bias;  // [lru_width]
  std::vector<float> log_a_scale;  // [lru_width], -8 softplus(a_param)
};

struct Weights {
  Matrix embedding;  // [vocab_size, model_dim]
  Matrix head;       // as embedding; no rows: the embedding is the head
  std::vector<float> final_norm;  // [model_dim]
  // Per-layer embeddings: all layers' parts follow each other in a row.
  RowTable per_layer_table;  // [per_layer_vocab, num_layers * per_layer_dim]
  Matrix per_layer_context;  // [num_layers * per_layer_dim, model_dim]
  std::vector<float> per_layer_norm;  // [per_layer_dim]
  // AltUp: what makes each stream but the first from the embeddings, and what
  // the last layer leaves of it part of the result. [model_dim, model_dim]
  // each.
  std::vector<Matrix> altup_proj, altup_unembed;
  std::vector<LayerWeights> layers;
  std::vector<Matrix>
      dense;           // [dense_dims[i], width before], applied after pooling
  uint64_t bytes = 0;  // memory of all of the above, including mapped files,
                       // except tables of rows that stay in their file
  uint64_t mapped_bytes = 0;     // of these, those in mapped files
  uint64_t table_bytes = 0;      // of tables in files, mostly never read
  uint64_t adapters_digest = 0;  // as in Outline

  const PackedView& HeadView() const {
    return head.view.rows != 0 ? head.view : embedding.view;
  }
};

// As LoadWeights, but neither reads nor packs values: views have no data,
// vectors are empty, and `bytes` is the memory that LoadWeights would need.
absl::StatusOr<Weights> PlanWeights(const Checkpoint& checkpoint,
                                    const Outline& outline,
                                    WeightType quantize);

// Packs the tensors of the outline on all workers. Releases the memory of the
// mapped files as their values are packed. Matrices that are already packed in
// the files, and tables of rows, are used in place, so the files must outlive
// the weights; reads nothing of such a table, but announces to the system that
// its pages will be read in any order. `quantize`: the type that the other
// matrices are converted to.
absl::StatusOr<Weights> LoadWeights(
    const Checkpoint& checkpoint, const Outline& outline, WeightType quantize,
    Workers& workers, const std::function<bool(const LoadProgress&)>& progress);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_TENSORS_WEIGHTS_H_
