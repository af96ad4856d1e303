// Our names for the weights, and what each kind of file calls them.

#ifndef GEMMA_SRC_MODEL_TENSOR_NAMES_H_
#define GEMMA_SRC_MODEL_TENSOR_NAMES_H_

#include <cstddef>
#include <string>
#include <vector>

#include "gemma/model_config.h"
#include "src/formats/checkpoint.h"

namespace gemma {

enum class WeightRole {
  kEmbedding,
  kHead,
  kFinalNorm,
  kPreMixNorm,
  kPostMixNorm,
  kPreFfwNorm,
  kPostFfwNorm,
  kQProj,
  kKProj,
  kVProj,
  kOProj,
  kOBias,
  kQNorm,
  kKNorm,
  kGateProj,
  kGateBias,
  kUpProj,
  kUpBias,
  kDownProj,
  kDownBias,
  kLinearX,
  kLinearXBias,
  kLinearY,
  kLinearYBias,
  kLinearOut,
  kLinearOutBias,
  kConv,
  kConvBias,
  kInputGate,
  kInputGateBias,
  kRecurrentGate,
  kRecurrentGateBias,
  kRecurrentParam,
  kDense,
};

// Names of the tensors of one checkpoint or kind of file.
class TensorNames {
 public:
  TensorNames(const Checkpoint& checkpoint, const ModelConfig& config);
  // Those of GGUF files.
  static TensorNames Gguf() { return TensorNames(); }

  // The tensor's name in the files; `layer` counts only for roles that each
  // layer has, and is the number of a dense layer. Empty if the family has no
  // such tensor.
  std::string Name(WeightRole role, size_t layer = 0) const;

 private:
  enum class Naming { kPreNorms, kPreAndPostNorms, kRecurrent, kGguf };

  TensorNames() : naming_(Naming::kGguf) {}

  Naming naming_;
  std::string prefix_;              // of every name, in Hugging Face files
  std::vector<std::string> dense_;  // names of the dense layers there
};

}  // namespace gemma

#endif  // GEMMA_SRC_MODEL_TENSOR_NAMES_H_
