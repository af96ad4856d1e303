// Implements gemma/c_config.h.

#include "gemma/c_config.h"

#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/c_api/c_status.h"
#include "src/c_api/c_values.h"

using gemma::internal::Reported;

void gemma_model_config_init(gemma_model_config* config, size_t size) {
  gemma::internal::InitSized(config, size, {});
}

gemma_status gemma_model_get_config(const gemma_model* model,
                                    gemma_model_config* config) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    GEMMA_C_REQUIRE(config);
    GEMMA_RETURN_IF_ERROR(
        gemma::internal::CheckSize(*config, "gemma_model_config"));
    const gemma::ModelConfig& from = model->model.config();
    gemma::internal::WriteSized(
        {.architecture = from.architecture.c_str(),
         .model_dim = from.model_dim,
         .num_layers = from.num_layers(),
         .vocab_size = from.vocab_size,
         .max_context = from.max_context,
         .lru_width = from.lru_width,
         .conv_width = from.conv_width,
         .embedding_scale = from.embedding_scale,
         .query_scale = from.query_scale,
         .rms_norm_eps = from.rms_norm_eps,
         .attn_logits_soft_cap = from.attn_logits_soft_cap,
         .final_logits_soft_cap = from.final_logits_soft_cap,
         .per_layer_scale = from.per_layer_scale,
         .altup_streams = from.altup_streams,
         .laurel_rank = from.laurel_rank,
         .per_layer_dim = from.per_layer_dim,
         .per_layer_vocab = from.per_layer_vocab,
         .embedding_dim = from.embedding_dim(),
         .pooling = static_cast<gemma_pooling>(from.pooling),
         .bos_token = from.bos_token,
         .stop_tokens = from.stop_tokens.data(),
         .num_stop_tokens = from.stop_tokens.size(),
         .suppress_tokens = from.suppress_tokens.data(),
         .num_suppress_tokens = from.suppress_tokens.size(),
         .dense_dims = from.dense_dims.data(),
         .num_dense_dims = from.dense_dims.size(),
         .post_norms = from.post_norms,
         .qk_norm = from.qk_norm,
         .value_norm = from.value_norm,
         .layer_scales = from.layer_scales,
         .biases = from.biases,
         .exact_gelu = from.exact_gelu,
         .bidirectional = from.bidirectional},
        config);
    return absl::OkStatus();
  });
}

void gemma_layer_config_init(gemma_layer_config* layer, size_t size) {
  gemma::internal::InitSized(layer, size, {});
}

gemma_status gemma_model_layer(const gemma_model* model, size_t index,
                               gemma_layer_config* layer) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    GEMMA_C_REQUIRE(layer);
    GEMMA_RETURN_IF_ERROR(
        gemma::internal::CheckSize(*layer, "gemma_layer_config"));
    const auto& layers = model->model.config().layers;
    if (index >= layers.size()) {
      return absl::OutOfRangeError(absl::StrCat("index is ", index,
                                                ", but the model has ",
                                                layers.size(), " layers"));
    }
    const gemma::LayerConfig& from = layers[index];
    gemma::internal::WriteSized(
        {.type = static_cast<gemma_block_type>(from.type),
         .k_eq_v = from.k_eq_v,
         .has_kv_source = from.kv_source.has_value(),
         .has_gate_cutoff = from.gate_cutoff.has_value(),
         .num_heads = from.num_heads,
         .num_kv_heads = from.num_kv_heads,
         .head_dim = from.head_dim,
         .sliding_window = from.sliding_window,
         .rotary_dim = from.rope.rotary_dim,
         .num_rotating = from.rope.num_rotating,
         .rope_base = from.rope.base,
         .rope_factor = from.rope.factor,
         .ffw_dim = from.ffw_dim,
         .num_experts = from.num_experts,
         .experts_used = from.experts_used,
         .expert_dim = from.expert_dim,
         .kv_source = from.kv_source.value_or(0),
         .gate_cutoff = from.gate_cutoff.value_or(0.0f)},
        layer);
    return absl::OkStatus();
  });
}
