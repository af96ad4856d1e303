#include "src/model/tensors/weight_table.h"

#include <iterator>
#include <utility>

namespace gemma::internal {
namespace {

using enum WeightKind;
using enum WeightScope;
using C = const ModelConfig&;
using L = const LayerConfig&;

// Sizes.
size_t Dim(C c, L) { return c.model_dim; }
size_t Vocab(C c, L) { return c.vocab_size; }
size_t Heads(C, L l) { return l.q_dim(); }
size_t KvHeads(C, L l) { return l.kv_dim(); }
size_t Head(C, L l) { return l.head_dim; }
size_t Ffw(C, L l) { return l.ffw_dim; }
size_t Lru(C c, L) { return c.lru_width; }
size_t PerLayer(C c, L) { return c.per_layer_dim; }
size_t PerLayerVocab(C c, L) { return c.per_layer_vocab; }
size_t AllPerLayer(C c, L) { return c.num_layers() * c.per_layer_dim; }
size_t Experts(C, L l) { return l.num_experts; }
size_t Expert(C, L l) { return l.expert_dim; }
size_t One(C, L) { return 1; }
size_t Taps(C c, L) { return c.conv_width; }
size_t Strips(C, L l) { return l.num_heads; }
size_t Strip(C c, L l) { return c.lru_width / l.num_heads; }
size_t Streams(C c, L) { return c.altup_streams; }
size_t OtherStreams(C c, L) { return c.altup_streams - 1; }
size_t StreamPairs(C c, L) { return c.altup_streams * c.altup_streams; }
size_t Laurel(C c, L) { return c.laurel_rank; }

// Conditions.
bool HasPostNorms(C c, L) { return c.post_norms; }
bool HasBiases(C c, L) { return c.biases; }
bool Recurs(C, L l) { return l.type == BlockType::kRecurrent; }
bool Attends(C c, L l) { return !Recurs(c, l); }
bool AttendsBiased(C c, L l) { return Attends(c, l) && c.biases; }
bool AttendsNormed(C c, L l) { return Attends(c, l) && c.qk_norm; }
bool HasKeys(C c, L l) { return Attends(c, l) && l.has_own_kv(); }
bool HasValues(C c, L l) { return HasKeys(c, l) && !l.k_eq_v; }
bool HasKeyNorm(C c, L l) { return HasKeys(c, l) && c.qk_norm; }
bool HasExperts(C, L l) { return l.num_experts != 0; }
bool HasPerLayer(C c, L) { return c.per_layer_dim != 0; }
bool HasPerLayerTable(C c, L) { return c.per_layer_vocab != 0; }
bool HasLayerScale(C c, L) { return c.layer_scales; }
bool HasAltUp(C c, L) { return c.altup_streams != 0; }
bool HasLaurel(C c, L) { return c.laurel_rank != 0; }
constexpr bool (*kAlways)(C, L) = nullptr;

constexpr auto kMixInput = TapPoint::kMixInput;
constexpr auto kMixHidden = TapPoint::kMixHidden;
constexpr auto kFfwInput = TapPoint::kFfwInput;
constexpr auto kFfwHidden = TapPoint::kFfwHidden;
constexpr auto kHeadInput = TapPoint::kHeadInput;
constexpr auto kEmbeddingTap = TapPoint::kEmbedding;
constexpr auto kPerLayerInput = TapPoint::kPerLayerInput;
constexpr auto kExpertInput = TapPoint::kExpertInput;
constexpr auto kExpertHidden = TapPoint::kExpertHidden;
constexpr auto kPerLayerHidden = TapPoint::kPerLayerHidden;

// Sensitivities were measured on Gemma 3 270M (1,508 tokens of prose), with one
// role at a time in Q4_0, whose errors are about 1 %. Roles that this model
// lacks have the sensitivity of a similar role: the recurrent block's inputs
// that of kVProj, its output that of kOProj, dense layers that of the head,
// which also comes last, as do AltUp's last products; experts, per-layer
// embeddings and the rest of AltUp and LAuReL those of the feed-forward layer.
using R = WeightRole;
using M = Weights;
using W = LayerWeights;
// Each row is a paragraph, which the formatter would take apart.
// clang-format off
constexpr WeightRow kRows[] = {
    {R::kEmbedding, kModel, kMatrix, kAlways, {Vocab, Dim}, &M::embedding,
     {"embed_tokens.weight", "embed_tokens.weight", "token_embd.weight",
      "c_embedding"}, kHeadInput, 13.1},
    {R::kHead, kModel, kMatrix, kAlways, {Vocab, Dim}, &M::head,
     {"lm_head.weight", "lm_head.weight", "output.weight"}, kHeadInput, 13.1},
    {R::kFinalNorm, kModel, kNorm, kAlways, {Dim}, &M::final_norm,
     {"norm.weight", "final_norm.weight", "output_norm.weight",
      "c_final_norm"}},
    {R::kPerLayerTable, kModel, kTable, HasPerLayerTable,
     {PerLayerVocab, AllPerLayer}, &M::per_layer_table,
     {"embed_tokens_per_layer.weight", "", "per_layer_token_embd.weight"},
     std::nullopt, 5.0},
    {R::kPerLayerContext, kModel, kMatrix, HasPerLayer, {AllPerLayer, Dim},
     &M::per_layer_context,
     {"per_layer_model_projection.weight", "", "per_layer_model_proj.weight"},
     kEmbeddingTap, 5.0},
    {R::kPerLayerNorm, kModel, kNorm, HasPerLayer, {PerLayer},
     &M::per_layer_norm,
     {"per_layer_projection_norm.weight", "", "per_layer_proj_norm.weight"}},
    {R::kAltUpProj, kModel, kStack, HasAltUp, {OtherStreams, Dim, Dim},
     &M::altup_proj,
     {"altup_projections.*.weight", "", "altup_proj.weight"},
     kEmbeddingTap, 5.0},
    {R::kAltUpUnembed, kModel, kStack, HasAltUp, {OtherStreams, Dim, Dim},
     &M::altup_unembed,
     {"altup_unembed_projections.*.weight", "", "altup_unembd_proj.weight"},
     std::nullopt, 13.1},
    {R::kPreMixNorm, kLayer, kNorm, kAlways, {Dim}, &W::pre_mix_norm,
     {"input_layernorm.weight", "temporal_pre_norm.weight", "attn_norm.weight",
      "pre_att_ns"}},
    {R::kPreFfwNorm, kLayer, kNorm, kAlways, {Dim}, &W::pre_ffw_norm,
     {"pre_feedforward_layernorm.weight", "channel_pre_norm.weight",
      "ffn_norm.weight", "pre_ff_ns", "post_attention_layernorm.weight"}},
    {R::kPostMixNorm, kLayer, kNorm, HasPostNorms, {Dim}, &W::post_mix_norm,
     {"post_attention_layernorm.weight", "", "post_attention_norm.weight",
      "post_att_ns"}},
    {R::kPostFfwNorm, kLayer, kNorm, HasPostNorms, {Dim}, &W::post_ffw_norm,
     {"post_feedforward_layernorm.weight", "", "post_ffw_norm.weight",
      "post_ff_ns"}},
    {R::kPostDenseNorm, kLayer, kNorm, HasExperts, {Dim}, &W::post_dense_norm,
     {"post_feedforward_layernorm_1.weight", "", "post_ffw_norm_1.weight"}},
    {R::kPreExpertNorm, kLayer, kNorm, HasExperts, {Dim}, &W::pre_expert_norm,
     {"pre_feedforward_layernorm_2.weight", "", "pre_ffw_norm_2.weight"}},
    {R::kPostExpertNorm, kLayer, kNorm, HasExperts, {Dim}, &W::post_expert_norm,
     {"post_feedforward_layernorm_2.weight", "", "post_ffw_norm_2.weight"}},
    {R::kPostPerLayerNorm, kLayer, kNorm, HasPerLayer, {Dim},
     &W::post_per_layer_norm,
     {"post_per_layer_input_norm.weight", "", "post_norm.weight"}},
    {R::kLayerScale, kLayer, kVector, HasLayerScale, {One}, &W::layer_scale,
     {"layer_scalar", "", "layer_output_scale.weight"}},
    {R::kQProj, kLayer, kMatrix, Attends, {Heads, Dim}, &W::q_proj,
     {"self_attn.q_proj.weight", "temporal_block.q_proj.weight",
      "attn_q.weight"}, kMixInput, 1.8},
    {R::kKProj, kLayer, kMatrix, HasKeys, {KvHeads, Dim}, &W::k_proj,
     {"self_attn.k_proj.weight", "temporal_block.k_proj.weight",
      "attn_k.weight"}, kMixInput, 2.0},
    {R::kVProj, kLayer, kMatrix, HasValues, {KvHeads, Dim}, &W::v_proj,
     {"self_attn.v_proj.weight", "temporal_block.v_proj.weight",
      "attn_v.weight"}, kMixInput, 10.8},
    {R::kOProj, kLayer, kMatrix, Attends, {Dim, Heads}, &W::o_proj,
     {"self_attn.o_proj.weight", "temporal_block.o_proj.weight",
      "attn_output.weight"}, kMixHidden, 4.3},
    {R::kOBias, kLayer, kVector, AttendsBiased, {Dim}, &W::o_bias,
     {"", "temporal_block.o_proj.bias", "attn_output.bias", "attn_ob"}},
    {R::kQNorm, kLayer, kNorm, AttendsNormed, {Head}, &W::q_norm,
     {"self_attn.q_norm.weight", "", "attn_q_norm.weight", "query_norm"}},
    {R::kKNorm, kLayer, kNorm, HasKeyNorm, {Head}, &W::k_norm,
     {"self_attn.k_norm.weight", "", "attn_k_norm.weight", "key_norm"}},
    {R::kLinearX, kLayer, kMatrix, Recurs, {Lru, Dim}, &W::linear_x,
     {"", "temporal_block.linear_x.weight", "rec_x.weight", "gr_lin_x_w"},
     kMixInput, 10.8},
    {R::kLinearXBias, kLayer, kVector, Recurs, {Lru}, &W::linear_x_bias,
     {"", "temporal_block.linear_x.bias", "rec_x.bias", "gr_lin_x_b"}},
    {R::kLinearY, kLayer, kMatrix, Recurs, {Lru, Dim}, &W::linear_y,
     {"", "temporal_block.linear_y.weight", "rec_y.weight", "gr_lin_y_w"},
     kMixInput, 10.8},
    {R::kLinearYBias, kLayer, kVector, Recurs, {Lru}, &W::linear_y_bias,
     {"", "temporal_block.linear_y.bias", "rec_y.bias", "gr_lin_y_b"}},
    {R::kLinearOut, kLayer, kMatrix, Recurs, {Dim, Lru}, &W::linear_out,
     {"", "temporal_block.linear_out.weight", "rec_out.weight", "gr_lin_out_w"},
     kMixHidden, 4.3},
    {R::kLinearOutBias, kLayer, kVector, Recurs, {Dim}, &W::linear_out_bias,
     {"", "temporal_block.linear_out.bias", "rec_out.bias", "gr_lin_out_b"}},
    {R::kConv, kLayer, kConv, Recurs, {Lru, Taps}, &W::conv,
     {"", "temporal_block.conv_1d.weight", "rec_conv.weight"}},
    {R::kConvBias, kLayer, kVector, Recurs, {Lru}, &W::conv_bias,
     {"", "temporal_block.conv_1d.bias", "rec_conv.bias", "gr_conv_b"}},
    {R::kInputGate, kLayer, kGates, Recurs, {Strips, Strip, Strip},
     &W::input_gate,
     {"", "temporal_block.rg_lru.input_gate_weight", "rec_gate_in.weight"}},
    {R::kRecurrentGate, kLayer, kGates, Recurs, {Strips, Strip, Strip},
     &W::recurrent_gate,
     {"", "temporal_block.rg_lru.recurrent_gate_weight", "rec_gate_a.weight"}},
    {R::kInputGateBias, kLayer, kVector, Recurs, {Strips, Strip},
     &W::input_gate_bias,
     {"", "temporal_block.rg_lru.input_gate_bias", "rec_gate_in.bias"}},
    {R::kRecurrentGateBias, kLayer, kVector, Recurs, {Strips, Strip},
     &W::recurrent_gate_bias,
     {"", "temporal_block.rg_lru.recurrent_gate_bias", "rec_gate_a.bias"}},
    {R::kRecurrentParam, kLayer, kRecurrentParam, Recurs, {Lru},
     &W::log_a_scale,
     {"", "temporal_block.rg_lru.recurrent_param", "rec_a_param.weight",
      "gr_a"}},
    {R::kGateProj, kLayer, kMatrix, kAlways, {Ffw, Dim}, &W::gate_proj,
     {"mlp.gate_proj.weight", "mlp_block.gate_proj.weight", "ffn_gate.weight"},
     kFfwInput, 5.3},
    {R::kUpProj, kLayer, kMatrix, kAlways, {Ffw, Dim}, &W::up_proj,
     {"mlp.up_proj.weight", "mlp_block.up_proj.weight", "ffn_up.weight"},
     kFfwInput, 9.7},
    {R::kDownProj, kLayer, kMatrix, kAlways, {Dim, Ffw}, &W::down_proj,
     {"mlp.down_proj.weight", "mlp_block.down_proj.weight", "ffn_down.weight",
      "linear_w"}, kFfwHidden, 11.2},
    {R::kGateBias, kLayer, kVector, HasBiases, {Ffw}, &W::gate_bias,
     {"", "mlp_block.gate_proj.bias", "ffn_gate.bias"}},
    {R::kUpBias, kLayer, kVector, HasBiases, {Ffw}, &W::up_bias,
     {"", "mlp_block.up_proj.bias", "ffn_up.bias"}},
    {R::kDownBias, kLayer, kVector, HasBiases, {Dim}, &W::down_bias,
     {"", "mlp_block.down_proj.bias", "ffn_down.bias", "ffw_out_b"}},
    {R::kRouter, kLayer, kExactMatrix, HasExperts, {Experts, Dim}, &W::router,
     {"router.proj.weight", "", "ffn_gate_inp.weight"}},
    {R::kRouterScale, kLayer, kVector, HasExperts, {Dim}, &W::router_scale,
     {"router.scale", "", "ffn_gate_inp.scale"}},
    {R::kExpertScale, kLayer, kVector, HasExperts, {Experts}, &W::expert_scale,
     {"router.per_expert_scale", "", "ffn_down_exps.scale"}},
    {R::kExpertGate, kLayer, kExperts, HasExperts, {Experts, Expert, Dim},
     &W::expert_gate,
     {"experts.gate_up_proj", "", "ffn_gate_exps.weight"}, kExpertInput, 5.3},
    {R::kExpertUp, kLayer, kExperts, HasExperts, {Experts, Expert, Dim},
     &W::expert_up,
     {"experts.gate_up_proj", "", "ffn_up_exps.weight"}, kExpertInput, 9.7},
    {R::kExpertDown, kLayer, kExperts, HasExperts, {Experts, Dim, Expert},
     &W::expert_down,
     {"experts.down_proj", "", "ffn_down_exps.weight"}, kExpertHidden, 11.2},
    {R::kPerLayerGate, kLayer, kMatrix, HasPerLayer, {PerLayer, Dim},
     &W::per_layer_gate,
     {"per_layer_input_gate.weight", "", "inp_gate.weight"},
     kPerLayerInput, 5.3},
    {R::kPerLayerProj, kLayer, kMatrix, HasPerLayer, {Dim, PerLayer},
     &W::per_layer_proj,
     {"per_layer_projection.weight", "", "proj.weight"}, kPerLayerHidden, 11.2},
    {R::kAltUpRouter, kLayer, kExactMatrix, HasAltUp, {Streams, Dim},
     &W::altup_router,
     {"altup.modality_router.weight", "", "altup_router.weight"}},
    {R::kAltUpRouterNorm, kLayer, kNorm, HasAltUp, {Dim}, &W::altup_router_norm,
     {"altup.router_norm.weight", "", "altup_router_norm.weight"}},
    {R::kAltUpPredict, kLayer, kVector, HasAltUp, {StreamPairs, Streams},
     &W::altup_predict,
     {"altup.prediction_coefs.weight", "", "altup_predict_coef.weight"}},
    {R::kAltUpCorrect, kLayer, kVector, HasAltUp, {Streams, Streams},
     &W::altup_correct,
     {"altup.correction_coefs.weight", "", "altup_correct_coef.weight"}},
    {R::kAltUpOutputScale, kLayer, kVector, HasAltUp, {Dim},
     &W::altup_output_scale,
     {"altup.correct_output_scale", "", "altup_correct_scale.weight"}},
    {R::kLaurelLeft, kLayer, kMatrix, HasLaurel, {Laurel, Dim}, &W::laurel_left,
     {"laurel.linear_left.weight", "", "laurel_l.weight"}, kMixInput, 5.3},
    {R::kLaurelRight, kLayer, kMatrix, HasLaurel, {Dim, Laurel},
     &W::laurel_right,
     {"laurel.linear_right.weight", "", "laurel_r.weight"}, std::nullopt, 11.2},
    {R::kPostLaurelNorm, kLayer, kNorm, HasLaurel, {Dim}, &W::post_laurel_norm,
     {"laurel.post_laurel_norm.weight", "", "laurel_post_norm.weight"}},
    {R::kDense, kDense, kMatrix, kAlways, {}, &M::dense,
     {"linear.weight", "", "weight"}, std::nullopt, 13.1},
};
// clang-format on

constexpr bool IsInOrder() {
  for (size_t i = 0; i < std::size(kRows); ++i) {
    if (kRows[i].role != static_cast<WeightRole>(i)) return false;
  }
  return true;
}
static_assert(IsInOrder(), "RowOf finds a role by its number");

// Adds the weight of a row. `layer` is 0 for weights of the whole model.
void Add(const WeightRow& row, const ModelConfig& c, const LayerConfig& l,
         size_t layer, std::vector<WeightSpec>& out) {
  WeightSpec spec = {row.role, layer, row.kind, {}};
  for (const WeightSize size : row.shape) {
    if (size != nullptr) spec.shape.push_back(size(c, l));
  }
  out.push_back(std::move(spec));
}

}  // namespace

std::span<const WeightRow> WeightTable() { return kRows; }

const WeightRow& RowOf(WeightRole role) {
  return kRows[static_cast<size_t>(role)];
}

std::vector<WeightSpec> LayerWeightsOf(const ModelConfig& config,
                                       size_t layer) {
  std::vector<WeightSpec> out;
  const LayerConfig& l = config.layers[layer];
  for (const WeightRow& row : kRows) {
    if (row.scope != WeightScope::kLayer) continue;
    if (row.has == nullptr || row.has(config, l)) {
      Add(row, config, l, layer, out);
    }
  }
  return out;
}

std::vector<WeightSpec> WeightsOf(const ModelConfig& config, bool own_head) {
  std::vector<WeightSpec> out;
  for (const WeightRow& row : kRows) {
    if (row.scope != WeightScope::kModel) continue;
    if (row.role == WeightRole::kHead && !own_head) continue;
    if (row.has != nullptr && !row.has(config, {})) continue;
    Add(row, config, /*l=*/{}, /*layer=*/0, out);
  }
  for (size_t layer = 0; layer < config.num_layers(); ++layer) {
    for (WeightSpec& spec : LayerWeightsOf(config, layer)) {
      out.push_back(std::move(spec));
    }
  }
  size_t width = config.model_dim;
  for (size_t i = 0; i < config.dense_dims.size(); ++i) {
    out.push_back({WeightRole::kDense,
                   i,
                   WeightKind::kMatrix,
                   {config.dense_dims[i], width}});
    width = config.dense_dims[i];
  }
  return out;
}

}  // namespace gemma::internal
