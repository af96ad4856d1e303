// The outline of a checkpoint: its configuration and the tensor of each weight.

#ifndef GEMMA_SRC_MODEL_OUTLINE_H_
#define GEMMA_SRC_MODEL_OUTLINE_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gemma/model.h"
#include "gemma/model_config.h"
#include "src/formats/checkpoint.h"
#include "src/model/conventions.h"
#include "src/model/read_config.h"
#include "src/model/text_prompts.h"
#include "src/model/weight_table.h"

namespace gemma::internal {

// A weight and its tensor, which has the same number of values and rows of the
// same length.
struct BoundWeight {
  WeightSpec spec;
  const Tensor* tensor;  // of the checkpoint
  std::string name;      // of the tensor
};

// All that is known about a checkpoint before its values are read. Never
// changes once made.
struct Outline {
  ModelConfig config;  // valid and complete
  Conventions conventions;
  std::vector<BoundWeight> weights;    // all of them, in the order of WeightsOf
  std::optional<TextPrompts> prompts;  // only of a model that pools
  Notes notes;                         // see Model::notes
};

// Reads the configuration and finds the tensor of each weight. Also fills
// checkpoint.tensors from the tensors of a gemma.cpp file. `checkpoint` must
// outlive the outline. Errors name a tensor that is missing or has the wrong
// shape, or the fields of the configuration that disagree.
absl::StatusOr<Outline> ReadOutline(Checkpoint& checkpoint,
                                    RecurrentWindow window);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_OUTLINE_H_
