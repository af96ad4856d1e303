// The table of a model's weights. Every property of a weight is stated here,
// and only here.

#ifndef GEMMA_SRC_MODEL_TENSORS_WEIGHT_TABLE_H_
#define GEMMA_SRC_MODEL_TENSORS_WEIGHT_TABLE_H_

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "gemma/model_config.h"
#include "gemma/taps.h"
#include "src/model/tensors/weights.h"

namespace gemma::internal {

// Our names for the weights, in the order of the table.
enum class WeightRole {
  kEmbedding,
  kHead,
  kFinalNorm,
  kPerLayerTable,
  kPerLayerContext,
  kPerLayerNorm,
  kAltUpProj,
  kAltUpUnembed,
  kPreMixNorm,
  kPreFfwNorm,
  kPostMixNorm,
  kPostFfwNorm,
  kPostDenseNorm,
  kPreExpertNorm,
  kPostExpertNorm,
  kPostPerLayerNorm,
  kLayerScale,
  kQProj,
  kKProj,
  kVProj,
  kOProj,
  kOBias,
  kQNorm,
  kKNorm,
  kLinearX,
  kLinearXBias,
  kLinearY,
  kLinearYBias,
  kLinearOut,
  kLinearOutBias,
  kConv,
  kConvBias,
  kInputGate,
  kRecurrentGate,
  kInputGateBias,
  kRecurrentGateBias,
  kRecurrentParam,
  kGateProj,
  kUpProj,
  kDownProj,
  kGateBias,
  kUpBias,
  kDownBias,
  kRouter,
  kRouterScale,
  kExpertScale,
  kExpertGate,
  kExpertUp,
  kExpertDown,
  kPerLayerGate,
  kPerLayerProj,
  kAltUpRouter,
  kAltUpRouterNorm,
  kAltUpPredict,
  kAltUpCorrect,
  kAltUpOutputScale,
  kLaurelLeft,
  kLaurelRight,
  kPostLaurelNorm,
  kDense,
};

// The part of a model that a weight belongs to. This determines how its name is
// composed.
enum class WeightScope {
  kModel,  // the whole model
  kLayer,  // each layer, or some layers
  kDense,  // each dense layer after pooling
};

// The kind of a weight's values. This determines how containers arrange them
// and how they are loaded.
enum class WeightKind {
  kMatrix,          // [rows, cols], multiplies activations: may be quantized
  kExactMatrix,     // as kMatrix, but never quantized
  kExperts,         // [experts, rows, cols], a matrix for each expert
  kStack,           // [matrices, rows, cols], as that many kMatrix; Hugging
                    // Face files hold each in a tensor of its own
  kTable,           // [rows, cols], whose rows are read one at a time
  kVector,          // added, or multiplied element by element: float32
  kNorm,            // as kVector; containers differ in what they store
  kConv,            // [channels, taps], oldest tap first
  kGates,           // [strips, in, out], a square matrix for each strip
  kRecurrentParam,  // as kVector; the RG-LRU's a_param
};

// A weight's name in each container, without its prefix: "model." and
// "layers.N." in Hugging Face files, "blk.N." in GGUF files. Empty if the
// container lacks the weight.
struct WeightNames {
  std::string_view hf;         // Hugging Face: Gemma; of a stack, "*" is the
                               // number of a matrix
  std::string_view recurrent;  // Hugging Face: RecurrentGemma
  std::string_view gguf;
  std::string_view sbs;  // gemma.cpp, "NAME_N"; empty if it is only part of a
                         // tensor, see sbs_tensors.cc
  std::string_view hf_gemma1;  // Hugging Face: Gemma 1; empty: as `hf`
};

// Where the forward pass keeps a weight.
using WeightSlot =
    std::variant<Matrix Weights::*, RowTable Weights::*,
                 std::vector<float> Weights::*, std::vector<Matrix> Weights::*,
                 Matrix LayerWeights::*, std::vector<float> LayerWeights::*,
                 std::vector<Matrix> LayerWeights::*>;

// Computes one dimension of a weight; null: the weight has fewer dimensions.
using WeightSize = size_t (*)(const ModelConfig&, const LayerConfig&);

// One row of the table.
struct WeightRow {
  WeightRole role;
  WeightScope scope;
  WeightKind kind;
  // Whether a model or layer has it; null: every one does.
  bool (*has)(const ModelConfig&, const LayerConfig&);
  std::array<WeightSize, 3> shape;  // outermost first; unused for kDense
  WeightSlot slot;
  WeightNames names;
  // For matrices: where a tap sees the activations that the matrix multiplies.
  // The embedding multiplies only if it is the head.
  std::optional<TapPoint> input = std::nullopt;
  // For matrices: the mean KL divergence, in nats, that a relative squared
  // error of 1 in all matrices of the role would cause if the two were
  // proportional; see PlanFormats.
  double sensitivity = 0.0;
};

// All rows, indexed by WeightRole.
std::span<const WeightRow> WeightTable();
const WeightRow& RowOf(WeightRole role);

// One weight of a model, as files store it.
struct WeightSpec {
  WeightRole role;
  size_t layer;  // of the layer or dense layer; 0 for kModel
  WeightKind kind;
  std::vector<size_t> shape;  // outermost first
};

// All weights of a valid `config`, in the order of their first use. `own_head`:
// the head has its own matrix, it is not the embedding.
std::vector<WeightSpec> WeightsOf(const ModelConfig& config, bool own_head);

// The weights of one layer.
std::vector<WeightSpec> LayerWeightsOf(const ModelConfig& config, size_t layer);

// The place where a weight is kept. T must be the type that its role has there:
// Matrix, std::vector<float>, RowTable, or std::vector<Matrix> for gates,
// experts, stacks and dense layers.
template <class T, class AnyWeights>
auto& SlotOf(const WeightSpec& spec, AnyWeights& weights) {
  const WeightSlot& slot = RowOf(spec.role).slot;
  if constexpr (!std::is_same_v<T, RowTable>) {
    if (const auto* member = std::get_if<T LayerWeights::*>(&slot)) {
      return weights.layers[spec.layer].**member;
    }
  }
  return weights.*std::get<T Weights::*>(slot);
}

// The place of a weight of the kind kMatrix or kExactMatrix.
template <class AnyWeights>
auto& MatrixSlot(const WeightSpec& spec, AnyWeights& weights) {
  if (RowOf(spec.role).scope != WeightScope::kDense) {
    return SlotOf<Matrix>(spec, weights);
  }
  return SlotOf<std::vector<Matrix>>(spec, weights)[spec.layer];
}

// Calls use(const T&) for each member of `layer` of type T, in the order of the
// table. Members for weights that the layer lacks are empty.
template <class T, class Use>
void ForEachOf(const LayerWeights& layer, Use use) {
  for (const WeightRow& row : WeightTable()) {
    const auto* member = std::get_if<T LayerWeights::*>(&row.slot);
    if (member != nullptr) use(layer.**member);
  }
}

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_TENSORS_WEIGHT_TABLE_H_
