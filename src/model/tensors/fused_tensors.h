// Matrices that a GGUF file stores in one tensor.

#ifndef GEMMA_SRC_MODEL_TENSORS_FUSED_TENSORS_H_
#define GEMMA_SRC_MODEL_TENSORS_FUSED_TENSORS_H_

#include "absl/status/status.h"
#include "gemma/model_config.h"
#include "src/formats/checkpoint.h"

namespace gemma::internal {

// Replaces each layer's tensor attn_qkv, whose rows are those of the queries,
// keys and values, by tensors with the names of the three. Those of keys and
// values of a layer that reads another's are left out. Refuses a tensor that
// does not have as many rows as the layer.
absl::Status SplitFused(const ModelConfig& config, Checkpoint& checkpoint);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_TENSORS_FUSED_TENSORS_H_
