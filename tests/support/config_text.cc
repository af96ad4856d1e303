#include "tests/support/config_text.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace gemma::internal {

std::string ConfigText(const ModelConfig& config) {
  std::string text = absl::StrCat("architecture ", config.architecture, "\n");
  const auto size = [&](const char* name, size_t value) {
    absl::StrAppend(&text, name, " ", value, "\n");
  };
  const auto number = [&](const char* name, float value) {
    absl::StrAppendFormat(&text, "%s %a (%g)\n", name, value, value);
  };
  size("model_dim", config.model_dim);
  size("vocab_size", config.vocab_size);
  size("max_context", config.max_context);
  size("lru_width", config.lru_width);
  size("conv_width", config.conv_width);
  number("embedding_scale", config.embedding_scale);
  number("query_scale", config.query_scale);
  number("rms_norm_eps", config.rms_norm_eps);
  number("attn_logits_soft_cap", config.attn_logits_soft_cap);
  number("final_logits_soft_cap", config.final_logits_soft_cap);
  size("post_norms", config.post_norms);
  size("qk_norm", config.qk_norm);
  size("value_norm", config.value_norm);
  size("layer_scales", config.layer_scales);
  size("altup_streams", config.altup_streams);
  size("laurel_rank", config.laurel_rank);
  size("per_layer_dim", config.per_layer_dim);
  size("per_layer_vocab", config.per_layer_vocab);
  number("per_layer_scale", config.per_layer_scale);
  size("biases", config.biases);
  size("exact_gelu", config.exact_gelu);
  size("bidirectional", config.bidirectional);
  for (const LayerConfig& layer : config.layers) {
    size("layer", static_cast<size_t>(layer.type));
    size("num_heads", layer.num_heads);
    size("num_kv_heads", layer.num_kv_heads);
    size("head_dim", layer.head_dim);
    size("sliding_window", layer.sliding_window);
    size("rotary_dim", layer.rope.rotary_dim);
    size("num_rotating", layer.rope.num_rotating);
    number("rope_base", layer.rope.base);
    number("rope_factor", layer.rope.factor);
    size("ffw_dim", layer.ffw_dim);
    if (layer.gate_cutoff) number("gate_cutoff", *layer.gate_cutoff);
    size("num_experts", layer.num_experts);
    size("experts_used", layer.experts_used);
    size("expert_dim", layer.expert_dim);
    size("k_eq_v", layer.k_eq_v);
    size("kv_source", layer.kv_source.value_or(~size_t{0}));
  }
  size("pooling", static_cast<size_t>(config.pooling));
  for (const size_t dim : config.dense_dims) size("dense", dim);
  absl::StrAppend(&text, "bos ", config.bos_token, "\n");
  const std::set<TokenId> stops(config.stop_tokens.begin(),
                                config.stop_tokens.end());
  absl::StrAppend(&text, "stops ", absl::StrJoin(stops, " "), "\n");
  return text;
}

}  // namespace gemma::internal
