// Which weights a model has.

#ifndef GEMMA_SRC_MODEL_WEIGHT_LIST_H_
#define GEMMA_SRC_MODEL_WEIGHT_LIST_H_

#include <cstddef>
#include <vector>

#include "gemma/model_config.h"
#include "src/model/tensor_names.h"

namespace gemma {

// What a weight's values are, and so what becomes of them when they are loaded.
enum class WeightKind {
  kMatrix,          // [rows, cols], multiplies activations: may be quantized
  kVector,          // added, or multiplied element by element: float32
  kNorm,            // as kVector; containers differ in what they store
  kConv,            // [channels, taps], oldest tap first
  kGates,           // [strips, in, out], a square matrix for each strip
  kRecurrentParam,  // as kVector; the RG-LRU's a_param
};

// One weight, as files store it.
struct WeightSpec {
  WeightRole role;
  size_t layer;  // 0 for roles that the model has once; of dense layers, their
                 // number
  WeightKind kind;
  std::vector<size_t> shape;  // outermost first
};

// All weights of a valid `config`, in the order in which they are used first.
// `own_head`: the head is a matrix of its own, not the embedding.
std::vector<WeightSpec> WeightsOf(const ModelConfig& config, bool own_head);

}  // namespace gemma

#endif  // GEMMA_SRC_MODEL_WEIGHT_LIST_H_
