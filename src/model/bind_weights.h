// Which tensor of a checkpoint is which weight of its model.

#ifndef GEMMA_SRC_MODEL_BIND_WEIGHTS_H_
#define GEMMA_SRC_MODEL_BIND_WEIGHTS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gemma/model_config.h"
#include "src/formats/checkpoint.h"
#include "src/model/weight_list.h"

namespace gemma {

// A weight and its tensor, which has as many values in as long rows.
struct BoundWeight {
  WeightSpec spec;
  const Tensor* tensor;  // of the checkpoint
  std::string name;      // of the tensor
};

// The tensors of all weights, in the order of WeightsOf. Completes
// config.vocab_size and config.embedding_scale, if zero, from the embedding
// table. Errors name the tensor that is missing, or whose shape is not what the
// configuration needs, or the fields of the configuration that disagree.
absl::StatusOr<std::vector<BoundWeight>> BindWeights(
    const Checkpoint& checkpoint, ModelConfig& config);

}  // namespace gemma

#endif  // GEMMA_SRC_MODEL_BIND_WEIGHTS_H_
