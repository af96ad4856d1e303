#include "tools/gemma/machine/model_json.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tools/gemma/machine/summary.h"

namespace gemma::tools {
namespace {

using OrderedJson = nlohmann::ordered_json;

std::string_view Name(BlockType type) {
  switch (type) {
    case BlockType::kGlobalAttention:
      return "global";
    case BlockType::kLocalAttention:
      return "local";
    case BlockType::kRecurrent:
      return "recurrent";
  }
  return "";
}

std::string_view Name(Pooling pooling) {
  switch (pooling) {
    case Pooling::kNone:
      return "none";
    case Pooling::kMean:
      return "mean";
  }
  return "";
}

bool IsGlobal(const LayerConfig& layer) {
  return layer.type == BlockType::kGlobalAttention;
}
bool IsLocal(const LayerConfig& layer) {
  return layer.type == BlockType::kLocalAttention;
}
bool IsAny(const LayerConfig& /*layer*/) { return true; }
bool Shares(const LayerConfig& layer) { return !layer.has_own_kv(); }
bool CutsGates(const LayerConfig& layer) {
  return layer.gate_cutoff.has_value();
}

// Returns a list with an item for each layer: its value if `has` is true, else
// null. Returns null if `has` is true for no layer.
template <class Value>
OrderedJson EachLayer(const ModelConfig& config,
                      bool (*has)(const LayerConfig&), Value value) {
  OrderedJson each = OrderedJson::array();
  bool any = false;
  for (const LayerConfig& layer : config.layers) {
    any = any || has(layer);
    each.push_back(has(layer) ? OrderedJson(value(layer)) : OrderedJson());
  }
  return any ? each : OrderedJson();
}

// Returns the value of the layers for which `has` is true: one value if they
// agree, else a list as above. Returns 0 if `has` is true for no layer.
template <class Value>
OrderedJson Layers(const ModelConfig& config, bool (*has)(const LayerConfig&),
                   Value value) {
  const OrderedJson each = EachLayer(config, has, value);
  OrderedJson first;
  bool same = true;
  for (const OrderedJson& of_layer : each) {
    if (of_layer.is_null()) continue;
    if (first.is_null()) first = of_layer;
    same = same && of_layer == first;
  }
  if (first.is_null()) return 0;
  return same ? first : each;
}

OrderedJson TypeJson(const std::string& name, const TypeTotal& total) {
  return {{"type", name},
          {"tensors", total.tensors},
          {"values", total.values},
          {"bytes", total.bytes},
          {"bits_per_weight", total.bits_per_weight()}};
}

}  // namespace

OrderedJson ConfigJson(const ModelConfig& config) {
  std::vector<std::string> blocks;
  for (const LayerConfig& l : config.layers) blocks.emplace_back(Name(l.type));
  const auto sizes = [&](size_t LayerConfig::*member) {
    return Layers(config, IsAny, [&](const auto& l) { return l.*member; });
  };
  const auto rotary_dim = [](const auto& l) { return l.rope.rotary_dim; };
  const auto rope_base = [](const auto& l) { return l.rope.base; };
  const auto rope_factor = [](const auto& l) { return l.rope.factor; };
  const auto window = [](const auto& l) { return l.sliding_window; };
  const auto rotating = [](const auto& l) { return l.rope.num_rotating; };
  const auto k_eq_v = [](const auto& l) { return l.k_eq_v; };
  const auto source = [](const LayerConfig& l) { return *l.kv_source; };
  const auto cutoff = [](const auto& l) { return *l.gate_cutoff; };
  return {
      {"architecture", config.architecture},
      {"num_layers", config.num_layers()},
      {"model_dim", config.model_dim},
      {"ffw_dim", sizes(&LayerConfig::ffw_dim)},
      {"num_heads", sizes(&LayerConfig::num_heads)},
      {"num_kv_heads", sizes(&LayerConfig::num_kv_heads)},
      {"head_dim", sizes(&LayerConfig::head_dim)},
      {"vocab_size", config.vocab_size},
      {"max_context", config.max_context},
      {"sliding_window", Layers(config, IsLocal, window)},
      {"rotary_dim", Layers(config, IsAny, rotary_dim)},
      {"num_rotating", Layers(config, IsAny, rotating)},
      {"k_eq_v", Layers(config, IsAny, k_eq_v)},
      {"kv_source", EachLayer(config, Shares, source)},
      {"gate_cutoff", EachLayer(config, CutsGates, cutoff)},
      {"num_experts", sizes(&LayerConfig::num_experts)},
      {"experts_used", sizes(&LayerConfig::experts_used)},
      {"expert_dim", sizes(&LayerConfig::expert_dim)},
      {"lru_width", config.lru_width},
      {"conv_width", config.conv_width},
      {"rope_base_local", Layers(config, IsLocal, rope_base)},
      {"rope_base_global", Layers(config, IsGlobal, rope_base)},
      {"rope_factor_global", Layers(config, IsGlobal, rope_factor)},
      {"embedding_scale", config.embedding_scale},
      {"query_scale", config.query_scale},
      {"rms_norm_eps", config.rms_norm_eps},
      {"attn_logits_soft_cap", config.attn_logits_soft_cap},
      {"final_logits_soft_cap", config.final_logits_soft_cap},
      {"post_norms", config.post_norms},
      {"qk_norm", config.qk_norm},
      {"value_norm", config.value_norm},
      {"layer_scales", config.layer_scales},
      {"altup_streams", config.altup_streams},
      {"laurel_rank", config.laurel_rank},
      {"per_layer_dim", config.per_layer_dim},
      {"per_layer_vocab", config.per_layer_vocab},
      {"per_layer_scale", config.per_layer_scale},
      {"biases", config.biases},
      {"exact_gelu", config.exact_gelu},
      {"bidirectional", config.bidirectional},
      {"pooling", Name(config.pooling)},
      {"dense_dims", config.dense_dims},
      {"bos_token", config.bos_token},
      {"stop_tokens", config.stop_tokens},
      {"suppress_tokens", config.suppress_tokens},
      {"blocks", blocks},
  };
}

OrderedJson ContentsJson(const Model& model) {
  const Totals totals = Summarize(model.tensors());
  OrderedJson types = OrderedJson::array();
  for (const auto& [name, total] : totals.types) {
    types.push_back(TypeJson(name, total));
  }
  return {{"config", ConfigJson(model.config())},
          {"parameters", totals.all.values},
          {"weight_bytes", totals.all.bytes},
          {"bits_per_weight", totals.all.bits_per_weight()},
          {"types", std::move(types)}};
}

OrderedJson MemoryJson(const Model& model, const SessionOptions& session,
                       size_t num_sessions) {
  const MemoryUse memory = model.MemoryFor(session, num_sessions);
  return {{"context", session.max_tokens},
          {"threads", model.num_threads()},
          {"weights", memory.weights},
          {"mapped", memory.mapped},
          {"cache", memory.cache},
          {"scratch", memory.scratch},
          {"total", memory.total()},
          {"table", memory.table},
          {"table_per_token", memory.table_per_token}};
}

OrderedJson TensorsJson(const Model& model) {
  OrderedJson tensors = OrderedJson::array();
  for (const TensorSummary& tensor : model.tensors()) {
    tensors.push_back({{"name", tensor.name},
                       {"type", tensor.format},
                       {"shape", tensor.shape},
                       {"bytes", tensor.bytes}});
  }
  return tensors;
}

}  // namespace gemma::tools
