#include "src/model/tensor_names.h"

#include <string_view>

#include "absl/strings/str_cat.h"

namespace gemma {
namespace {

struct Row {
  WeightRole role;
  bool per_layer;
  std::string_view gemma;  // Hugging Face: Gemma 2 and 3, and Gemma 1 but for
                           // its two norms, see Name
  std::string_view recurrent;  // Hugging Face: RecurrentGemma
  std::string_view gguf;
};

using R = WeightRole;
constexpr Row kRows[] = {
    {R::kEmbedding, false, "embed_tokens.weight", "embed_tokens.weight",
     "token_embd.weight"},
    {R::kFinalNorm, false, "norm.weight", "final_norm.weight",
     "output_norm.weight"},
    {R::kPreMixNorm, true, "input_layernorm.weight", "temporal_pre_norm.weight",
     "attn_norm.weight"},
    {R::kPostMixNorm, true, "post_attention_layernorm.weight", "",
     "post_attention_norm.weight"},
    {R::kPreFfwNorm, true, "pre_feedforward_layernorm.weight",
     "channel_pre_norm.weight", "ffn_norm.weight"},
    {R::kPostFfwNorm, true, "post_feedforward_layernorm.weight", "",
     "post_ffw_norm.weight"},
    {R::kQProj, true, "self_attn.q_proj.weight", "temporal_block.q_proj.weight",
     "attn_q.weight"},
    {R::kKProj, true, "self_attn.k_proj.weight", "temporal_block.k_proj.weight",
     "attn_k.weight"},
    {R::kVProj, true, "self_attn.v_proj.weight", "temporal_block.v_proj.weight",
     "attn_v.weight"},
    {R::kOProj, true, "self_attn.o_proj.weight", "temporal_block.o_proj.weight",
     "attn_output.weight"},
    {R::kOBias, true, "", "temporal_block.o_proj.bias", "attn_output.bias"},
    {R::kQNorm, true, "self_attn.q_norm.weight", "", "attn_q_norm.weight"},
    {R::kKNorm, true, "self_attn.k_norm.weight", "", "attn_k_norm.weight"},
    {R::kGateProj, true, "mlp.gate_proj.weight", "mlp_block.gate_proj.weight",
     "ffn_gate.weight"},
    {R::kGateBias, true, "", "mlp_block.gate_proj.bias", "ffn_gate.bias"},
    {R::kUpProj, true, "mlp.up_proj.weight", "mlp_block.up_proj.weight",
     "ffn_up.weight"},
    {R::kUpBias, true, "", "mlp_block.up_proj.bias", "ffn_up.bias"},
    {R::kDownProj, true, "mlp.down_proj.weight", "mlp_block.down_proj.weight",
     "ffn_down.weight"},
    {R::kDownBias, true, "", "mlp_block.down_proj.bias", "ffn_down.bias"},
    {R::kLinearX, true, "", "temporal_block.linear_x.weight", "rec_x.weight"},
    {R::kLinearXBias, true, "", "temporal_block.linear_x.bias", "rec_x.bias"},
    {R::kLinearY, true, "", "temporal_block.linear_y.weight", "rec_y.weight"},
    {R::kLinearYBias, true, "", "temporal_block.linear_y.bias", "rec_y.bias"},
    {R::kLinearOut, true, "", "temporal_block.linear_out.weight",
     "rec_out.weight"},
    {R::kLinearOutBias, true, "", "temporal_block.linear_out.bias",
     "rec_out.bias"},
    {R::kConv, true, "", "temporal_block.conv_1d.weight", "rec_conv.weight"},
    {R::kConvBias, true, "", "temporal_block.conv_1d.bias", "rec_conv.bias"},
    {R::kInputGate, true, "", "temporal_block.rg_lru.input_gate_weight",
     "rec_gate_in.weight"},
    {R::kInputGateBias, true, "", "temporal_block.rg_lru.input_gate_bias",
     "rec_gate_in.bias"},
    {R::kRecurrentGate, true, "", "temporal_block.rg_lru.recurrent_gate_weight",
     "rec_gate_a.weight"},
    {R::kRecurrentGateBias, true, "",
     "temporal_block.rg_lru.recurrent_gate_bias", "rec_gate_a.bias"},
    {R::kRecurrentParam, true, "", "temporal_block.rg_lru.recurrent_param",
     "rec_a_param.weight"},
};

const Row* FindRow(WeightRole role) {
  for (const Row& row : kRows) {
    if (row.role == role) return &row;
  }
  return nullptr;
}

// What stands in front of the text tower's names: nothing in a bare model,
// something longer in files of models with vision, old and new.
std::string FindPrefix(const Checkpoint& checkpoint) {
  for (const char* prefix :
       {"model.", "language_model.model.", "model.language_model.", ""}) {
    if (checkpoint.tensors.contains(
            absl::StrCat(prefix, "embed_tokens.weight"))) {
      return prefix;
    }
  }
  return "model.";
}

}  // namespace

TensorNames::TensorNames(const Checkpoint& checkpoint,
                         const ModelConfig& config) {
  // gemma.cpp's tensors were given GGUF's names when they were bound.
  if (checkpoint.kind != CheckpointKind::kHuggingFace) {
    naming_ = Naming::kGguf;
    return;
  }
  prefix_ = FindPrefix(checkpoint);
  for (const Module* module : ModulesOf(checkpoint, "Dense")) {
    dense_.push_back(module->TensorName("linear.weight"));
  }
  if (config.biases) {
    naming_ = Naming::kRecurrent;
  } else {
    naming_ = config.post_norms ? Naming::kPreAndPostNorms : Naming::kPreNorms;
  }
}

std::string TensorNames::Name(WeightRole role, size_t layer) const {
  if (role == WeightRole::kHead) {
    return naming_ == Naming::kGguf ? "output.weight" : "lm_head.weight";
  }
  if (role == WeightRole::kDense) {
    // llama.cpp has the numbers of sentence-transformers' modules: the first
    // two are the transformer and pooling.
    if (naming_ == Naming::kGguf) {
      return absl::StrCat("dense_", layer + 2, ".weight");
    }
    return layer < dense_.size() ? dense_[layer] : "";
  }
  const Row* row = FindRow(role);
  if (naming_ == Naming::kGguf) {
    return row->per_layer ? absl::StrCat("blk.", layer, ".", row->gguf)
                          : std::string(row->gguf);
  }
  std::string_view name =
      naming_ == Naming::kRecurrent ? row->recurrent : row->gemma;
  // Gemma 1 has one norm per sub-block, in front of it. Its files call the
  // second after the attention that it follows.
  if (naming_ == Naming::kPreNorms && role == WeightRole::kPreFfwNorm) {
    name = "post_attention_layernorm.weight";
  }
  if (name.empty()) return "";
  return row->per_layer ? absl::StrCat(prefix_, "layers.", layer, ".", name)
                        : absl::StrCat(prefix_, name);
}

}  // namespace gemma
