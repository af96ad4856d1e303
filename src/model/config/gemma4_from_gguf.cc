#include "src/model/config/gemma4_from_gguf.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/listing.h"
#include "src/base/status_macros.h"
#include "src/model/config/rope_from_gguf.h"
#include "src/model/config/shared_layers.h"
#include "src/model/tensors/tensor_names.h"

namespace gemma::internal {
namespace {

constexpr char kEmbeddingArch[] = "gemma-embedding2";
constexpr char kRopeFactors[] = "rope_freqs.weight";
// A frequency divided by at least this does not rotate: llama.cpp's converter
// writes 1e30.
constexpr float kHuge = 1e20f;

// Reads the width of the embeddings, which the projection has too.
absl::Status ReadPooling(const KeyReader& keys, const Checkpoint& checkpoint,
                         ConfigDraft& c) {
  GEMMA_RETURN_IF_ERROR(ReadMeanPooling(keys, c));
  const Tensor* projection = FindGgufTensor(checkpoint, WeightRole::kHead);
  size_t width = projection == nullptr || projection->shape.empty()
                     ? c.model_dim
                     : projection->shape[0];
  GEMMA_RETURN_IF_ERROR(keys.Read("embedding_length_out", width));
  c.dense_dims = {width};
  return absl::OkStatus();
}

// Returns the number of leading pairs that rotate, of `pairs`, by the factors
// that divide their frequencies: 1 for those, then huge. Fails for other
// factors.
absl::StatusOr<size_t> RotatingByFactors(const Checkpoint& checkpoint,
                                         size_t pairs) {
  const auto found = checkpoint.tensors.find(kRopeFactors);
  if (found == checkpoint.tensors.end()) {
    return absl::NotFoundError(FormatText(
        "%s: no tensor '%s', which says how many pairs of a head rotate",
        checkpoint.path, kRopeFactors));
  }
  const Tensor& tensor = found->second;
  if (tensor.NumValues() != pairs) {
    return absl::InvalidArgumentError(FormatText(
        "%s: tensor '%s' has %u values, wanted one for each of the %u pairs of "
        "a head",
        tensor.file, kRopeFactors, tensor.NumValues(), pairs));
  }
  GEMMA_ASSIGN_OR_RETURN(const std::vector<float> factors, Decode(tensor));
  size_t rotating = 0;
  while (rotating < pairs && factors[rotating] == 1.0f) ++rotating;
  for (size_t i = rotating; i < pairs; ++i) {
    if (factors[i] >= kHuge) continue;
    return absl::InvalidArgumentError(FormatText(
        "%s: value %u of tensor '%s' is %g, wanted 1 for the pairs that rotate "
        "and then 1e30",
        tensor.file, i, kRopeFactors, factors[i]));
  }
  return rotating;
}

// Reads the number of pairs that rotate in global layers.
absl::Status ReadRotating(const Checkpoint& checkpoint, ModelConfig& c) {
  for (LayerConfig& layer : c.layers) {
    if (layer.type != BlockType::kGlobalAttention) continue;
    const size_t pairs = layer.rope.rotary_dim / 2;
    GEMMA_ASSIGN_OR_RETURN(const size_t rotating,
                           RotatingByFactors(checkpoint, pairs));
    if (rotating == 0) layer.rope.rotary_dim = 0;
    layer.rope.num_rotating = rotating < pairs ? rotating : 0;
  }
  return absl::OkStatus();
}

// Where no global layer has a tensor of values, their values are their keys. If
// only some lack one, the file is not complete.
void FindKEqV(const Checkpoint& checkpoint, ModelConfig& c) {
  const auto may_be = [](const LayerConfig& layer) {
    return layer.type == BlockType::kGlobalAttention && layer.has_own_kv();
  };
  for (size_t i = 0; i < c.num_layers(); ++i) {
    const std::string fused = absl::StrCat("blk.", i, ".attn_qkv.weight");
    if (may_be(c.layers[i]) &&
        (checkpoint.tensors.contains(fused) ||
         FindGgufTensor(checkpoint, WeightRole::kVProj, i) != nullptr)) {
      return;
    }
  }
  for (LayerConfig& layer : c.layers) layer.k_eq_v = may_be(layer);
}

// Whether layers have a scale. If only some have one, the file is not complete.
bool HasLayerScales(const Checkpoint& checkpoint, size_t num_layers) {
  for (size_t i = 0; i < num_layers; ++i) {
    if (FindGgufTensor(checkpoint, WeightRole::kLayerScale, i) != nullptr) {
      return true;
    }
  }
  return false;
}

// Reads a size of all layers, which a key may repeat for each.
absl::Status ReadSame(const KeyReader& keys, std::string_view key,
                      size_t num_layers, size_t& size) {
  if (!keys.IsArray(key)) return keys.ReadRequired(key, size);
  std::vector<size_t> sizes;
  GEMMA_RETURN_IF_ERROR(keys.Read(key, sizes));
  if (sizes.size() != num_layers ||
      std::ranges::count(sizes, sizes[0]) != std::ssize(sizes)) {
    return absl::InvalidArgumentError(FormatText(
        "%s is [%s], wanted one number, or the same number for each of the %u "
        "layers",
        keys.Where(key), Listing(sizes, [](size_t each) { return each; }),
        num_layers));
  }
  size = sizes[0];
  return absl::OkStatus();
}

absl::Status ReadExperts(const KeyReader& keys, ModelConfig& c) {
  LayerConfig l;
  GEMMA_RETURN_IF_ERROR(keys.Read("expert_count", l.num_experts));
  if (l.num_experts == 0) return absl::OkStatus();
  GEMMA_RETURN_IF_ERROR(
      ReadSame(keys, "expert_used_count", c.num_layers(), l.experts_used));
  GEMMA_RETURN_IF_ERROR(ReadSame(keys, "expert_feed_forward_length",
                                 c.num_layers(), l.expert_dim));
  for (LayerConfig& layer : c.layers) {
    layer.num_experts = l.num_experts;
    layer.experts_used = l.experts_used;
    layer.expert_dim = l.expert_dim;
  }
  return absl::OkStatus();
}

}  // namespace

bool IsGemma4(std::string_view architecture) {
  return architecture == "gemma4" || architecture == kEmbeddingArch;
}

absl::Status ReadGemma4(const KeyReader& keys, const Checkpoint& checkpoint,
                        ConfigDraft& c) {
  c.post_norms = true;
  c.qk_norm = true;
  c.value_norm = true;
  c.layer_scales = HasLayerScales(checkpoint, c.blocks.size());
  c.rope_base_global = 1000000.0f;
  GEMMA_RETURN_IF_ERROR(
      keys.ReadRequired("attention.sliding_window", c.sliding_window));
  GEMMA_RETURN_IF_ERROR(ReadTwoRopes(keys, /*num_layers=*/c.blocks.size(), c));
  GEMMA_RETURN_IF_ERROR(
      keys.ReadRequired("embedding_length_per_layer_input", c.per_layer_dim));
  if (c.architecture == kEmbeddingArch) return ReadPooling(keys, checkpoint, c);
  c.final_logits_soft_cap = 30.0f;  // early files lack the key
  GEMMA_RETURN_IF_ERROR(
      keys.Read("final_logit_softcapping", c.final_logits_soft_cap));
  if (c.per_layer_dim == 0) return absl::OkStatus();
  const Tensor* table = FindGgufTensor(checkpoint, WeightRole::kPerLayerTable);
  // A table that is missing is an error once its tensor is looked for.
  c.per_layer_vocab =
      table != nullptr && table->shape.size() == 2 ? table->shape[0] : 1;
  return absl::OkStatus();
}

absl::Status ReadGemma4Layers(const KeyReader& keys,
                              const Checkpoint& checkpoint, ModelConfig& c) {
  constexpr char kShared[] = "attention.shared_kv_layers";
  size_t num_shared = 0;
  GEMMA_RETURN_IF_ERROR(keys.Read(kShared, num_shared));
  GEMMA_RETURN_IF_ERROR(ShareKeys(num_shared, keys.Where(kShared), c.layers));
  GEMMA_RETURN_IF_ERROR(ReadExperts(keys, c));
  if (c.architecture == kEmbeddingArch) return absl::OkStatus();
  FindKEqV(checkpoint, c);
  return ReadRotating(checkpoint, c);
}

}  // namespace gemma::internal
