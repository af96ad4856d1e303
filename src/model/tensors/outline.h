// The outline of a checkpoint: its configuration and the tensor of each weight.

#ifndef GEMMA_SRC_MODEL_TENSORS_OUTLINE_H_
#define GEMMA_SRC_MODEL_TENSORS_OUTLINE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gemma/model.h"
#include "gemma/model_config.h"
#include "src/formats/adapter_file.h"
#include "src/formats/checkpoint.h"
#include "src/model/config/conventions.h"
#include "src/model/config/read_config.h"
#include "src/model/config/text_prompts.h"
#include "src/model/tensors/weight_table.h"

namespace gemma::internal {

struct LowRank;  // low_rank.h

// A matrix of a stack that has a tensor of its own.
struct BoundPart {
  const Tensor* tensor = nullptr;
  std::string name;
};

// A weight and its tensor, which has rows of the same length. Both have the
// same number of values, except for experts whose tensor also holds another
// weight.
struct BoundWeight {
  WeightSpec spec;
  const Tensor* tensor = nullptr;  // of the checkpoint, or of an adapter
  std::string name;                // of the tensor
  // Products that adapters add to a matrix.
  std::vector<std::shared_ptr<const LowRank>> low_ranks;
  // kExperts: the matrix of expert e begins at row first_row + e * row_step of
  // the tensor.
  size_t first_row = 0;
  size_t row_step = 0;
  // kStack: the tensor of each matrix, all of the same type, of which `tensor`
  // is the first; empty: `tensor` holds all.
  std::vector<BoundPart> parts;
};

// Returns matrix `index` of a stack as a weight of its own, with a tensor that
// is either a part of the stack's or, if `tensor` holds all matrices,
// `storage`.
BoundWeight MatrixOf(const BoundWeight& stack, size_t index, Tensor& storage);

// Returns the matrix of an expert. `values` are those of the weight's tensor;
// see TensorValues. Null values give a view without data.
WeightView ExpertOf(const BoundWeight& weight, const uint8_t* values,
                    size_t expert);

// All that is known about a checkpoint before its values are read. Never
// changes once made, except by AddAdapters.
struct Outline {
  ModelConfig config;  // valid and complete
  Conventions conventions;
  std::vector<BoundWeight> weights;    // all of them, in the order of WeightsOf
  std::vector<AdapterFile> adapters;   // those with tensors of `weights`
  uint64_t adapters_digest = 0;        // of all that adapters add; 0: nothing
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

#endif  // GEMMA_SRC_MODEL_TENSORS_OUTLINE_H_
