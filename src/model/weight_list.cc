#include "src/model/weight_list.h"

#include <utility>

namespace gemma {
namespace {

using R = WeightRole;
using Shape = std::vector<size_t>;

// The weights of one layer, added to a list.
class LayerList {
 public:
  LayerList(const ModelConfig& config, size_t layer,
            std::vector<WeightSpec>& out)
      : c_(config), l_(config.layers[layer]), layer_(layer), out_(out) {}

  void AddAll() {
    Add(R::kPreMixNorm, WeightKind::kNorm, {c_.model_dim});
    Add(R::kPreFfwNorm, WeightKind::kNorm, {c_.model_dim});
    if (c_.post_norms) {
      Add(R::kPostMixNorm, WeightKind::kNorm, {c_.model_dim});
      Add(R::kPostFfwNorm, WeightKind::kNorm, {c_.model_dim});
    }
    if (l_.type == BlockType::kRecurrent) {
      AddRecurrence();
    } else {
      AddAttention();
    }
    AddFfw();
  }

 private:
  void Add(WeightRole role, WeightKind kind, Shape shape) {
    out_.push_back({role, layer_, kind, std::move(shape)});
  }

  void AddAttention() {
    const size_t q_dim = l_.q_dim();
    const size_t kv_dim = l_.kv_dim();
    Add(R::kQProj, WeightKind::kMatrix, {q_dim, c_.model_dim});
    Add(R::kKProj, WeightKind::kMatrix, {kv_dim, c_.model_dim});
    Add(R::kVProj, WeightKind::kMatrix, {kv_dim, c_.model_dim});
    Add(R::kOProj, WeightKind::kMatrix, {c_.model_dim, q_dim});
    if (c_.biases) Add(R::kOBias, WeightKind::kVector, {c_.model_dim});
    if (c_.qk_norm) {
      Add(R::kQNorm, WeightKind::kNorm, {l_.head_dim});
      Add(R::kKNorm, WeightKind::kNorm, {l_.head_dim});
    }
  }

  void AddRecurrence() {
    const size_t width = c_.lru_width;
    const size_t strip = width / l_.num_heads;
    Add(R::kLinearX, WeightKind::kMatrix, {width, c_.model_dim});
    Add(R::kLinearXBias, WeightKind::kVector, {width});
    Add(R::kLinearY, WeightKind::kMatrix, {width, c_.model_dim});
    Add(R::kLinearYBias, WeightKind::kVector, {width});
    Add(R::kLinearOut, WeightKind::kMatrix, {c_.model_dim, width});
    Add(R::kLinearOutBias, WeightKind::kVector, {c_.model_dim});
    Add(R::kConv, WeightKind::kConv, {width, c_.conv_width});
    Add(R::kConvBias, WeightKind::kVector, {width});
    Add(R::kInputGate, WeightKind::kGates, {l_.num_heads, strip, strip});
    Add(R::kRecurrentGate, WeightKind::kGates, {l_.num_heads, strip, strip});
    Add(R::kInputGateBias, WeightKind::kVector, {l_.num_heads, strip});
    Add(R::kRecurrentGateBias, WeightKind::kVector, {l_.num_heads, strip});
    Add(R::kRecurrentParam, WeightKind::kRecurrentParam, {width});
  }

  void AddFfw() {
    Add(R::kGateProj, WeightKind::kMatrix, {l_.ffw_dim, c_.model_dim});
    Add(R::kUpProj, WeightKind::kMatrix, {l_.ffw_dim, c_.model_dim});
    Add(R::kDownProj, WeightKind::kMatrix, {c_.model_dim, l_.ffw_dim});
    if (!c_.biases) return;
    Add(R::kGateBias, WeightKind::kVector, {l_.ffw_dim});
    Add(R::kUpBias, WeightKind::kVector, {l_.ffw_dim});
    Add(R::kDownBias, WeightKind::kVector, {c_.model_dim});
  }

  const ModelConfig& c_;
  const LayerConfig& l_;
  const size_t layer_;
  std::vector<WeightSpec>& out_;
};

}  // namespace

std::vector<WeightSpec> WeightsOf(const ModelConfig& config, bool own_head) {
  const Shape table = {config.vocab_size, config.model_dim};
  std::vector<WeightSpec> out;
  out.push_back({R::kEmbedding, 0, WeightKind::kMatrix, table});
  if (own_head) out.push_back({R::kHead, 0, WeightKind::kMatrix, table});
  out.push_back({R::kFinalNorm, 0, WeightKind::kNorm, {config.model_dim}});
  for (size_t layer = 0; layer < config.num_layers(); ++layer) {
    LayerList(config, layer, out).AddAll();
  }
  size_t width = config.model_dim;
  for (size_t i = 0; i < config.dense_dims.size(); ++i) {
    const Shape shape = {config.dense_dims[i], width};
    out.push_back({R::kDense, i, WeightKind::kMatrix, shape});
    width = config.dense_dims[i];
  }
  return out;
}

}  // namespace gemma
