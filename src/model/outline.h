// What a checkpoint is: its configuration, and which tensor is which weight.

#ifndef GEMMA_SRC_MODEL_OUTLINE_H_
#define GEMMA_SRC_MODEL_OUTLINE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gemma/model.h"
#include "gemma/model_config.h"
#include "src/formats/checkpoint.h"
#include "src/model/conventions.h"
#include "src/model/weight_table.h"

namespace gemma {

// A weight and its tensor, which has as many values in as long rows.
struct BoundWeight {
  WeightSpec spec;
  const Tensor* tensor;  // of the checkpoint
  std::string name;      // of the tensor
};

// All that is known of a checkpoint before values are read. Made once, and
// never changed.
struct Outline {
  ModelConfig config;  // valid and complete
  Conventions conventions;
  std::vector<BoundWeight> weights;  // all of them, in the order of WeightsOf
};

// Reads the configuration, gives the tensors of gemma.cpp's files their names
// in `checkpoint`, which must outlive the outline, and finds the tensor of each
// weight. Errors name the tensor that is missing, or whose shape is not what
// the configuration needs, or the fields of the configuration that disagree.
absl::StatusOr<Outline> ReadOutline(Checkpoint& checkpoint,
                                    RecurrentWindow window);

}  // namespace gemma

#endif  // GEMMA_SRC_MODEL_OUTLINE_H_
