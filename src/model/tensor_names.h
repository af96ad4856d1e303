// Our names for the weights, and what each kind of file calls them.

#ifndef GEMMA_SRC_MODEL_TENSOR_NAMES_H_
#define GEMMA_SRC_MODEL_TENSOR_NAMES_H_

#include <cstddef>
#include <string>

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
};

// Names of the tensors of one checkpoint or kind of file.
class TensorNames {
 public:
  TensorNames(const Checkpoint& checkpoint, const ModelConfig& config);
  // Those of GGUF files.
  static TensorNames Gguf() { return TensorNames(); }

  // The tensor's name in the files; `layer` counts only for roles that each
  // layer has. Empty if the family has no such tensor.
  std::string Name(WeightRole role, size_t layer = 0) const;

 private:
  enum class Naming { kPreNorms, kPreAndPostNorms, kRecurrent, kGguf };

  TensorNames() : naming_(Naming::kGguf) {}

  Naming naming_;
  std::string prefix_;  // of every name, in Hugging Face files
};

}  // namespace gemma

#endif  // GEMMA_SRC_MODEL_TENSOR_NAMES_H_
