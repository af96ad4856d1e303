#include "src/model/config/gemma4_from_json.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/model/config/json_fields.h"
#include "src/model/config/rope_from_json.h"
#include "src/model/config/shared_layers.h"

namespace gemma::internal {
namespace {

constexpr char kSharedLayers[] = "num_kv_shared_layers";

// The heads of global layers, in the published spelling.
struct GlobalHeads {
  size_t head_dim = 512;
  std::optional<size_t> num_kv_heads;  // no value: those of local layers
};

void SetDefaults(ConfigDraft& c) {
  c.architecture = "gemma4";
  c.post_norms = true;
  c.qk_norm = true;
  c.value_norm = true;
  c.layer_scales = true;
  c.query_scale = 1.0f;
  c.vocab_size = 262144;
  c.model_dim = 2304;
  c.all.ffw_dim = 9216;
  c.all.num_heads = 8;
  c.all.num_kv_heads = 4;
  c.all.head_dim = 256;
  c.max_context = 131072;
  c.sliding_window = 512;
}

// The last layer is global, whatever the file says.
absl::Status ReadTypes(const Json& json, size_t num_layers, size_t period,
                       ConfigDraft& c) {
  GEMMA_RETURN_IF_ERROR(ReadLayerTypes(json, num_layers, period, c));
  if (c.blocks.back() == BlockType::kGlobalAttention) return absl::OkStatus();
  c.blocks.back() = BlockType::kGlobalAttention;
  const std::optional<Json> types = json.Find("layer_types");
  if (types.has_value() && types->is_array() && types->size() != 0) {
    c.notes.push_back(FormatText(
        "%s: the last layer is 'sliding_attention', and is computed as "
        "'full_attention', as in transformers",
        types->Where()));
  }
  return absl::OkStatus();
}

// Reads the members of per_layer_config: what a layer has of its own.
absl::Status ReadOwn(const Json& own, LayerConfig& layer) {
  if (!own.is_object()) return own.Unexpected("an object");
  for (const auto& [key, value] : own.Members()) {
    if (key != "head_dim" && key != "num_key_value_heads") {
      return absl::InvalidArgumentError(
          absl::StrCat(value.Where(),
                       " is given for one layer, wanted only 'head_dim' and "
                       "'num_key_value_heads'"));
    }
  }
  GEMMA_RETURN_IF_ERROR(own.Read("head_dim", layer.head_dim));
  return own.Read("num_key_value_heads", layer.num_kv_heads);
}

// Reads per_layer_config, whose keys are the numbers of layers, as strings that
// may begin with zeros.
absl::Status ReadOwnOfEach(const Json& json, std::vector<LayerConfig>& layers) {
  std::vector<bool> seen(layers.size());
  for (const auto& [key, own] : json.Members()) {
    size_t layer = layers.size();
    if (!absl::SimpleAtoi(key, &layer) || layer >= layers.size()) {
      return absl::InvalidArgumentError(FormatText(
          "%s: the key %s of 'per_layer_config' is not the number of a layer, "
          "wanted 0 to %u",
          json.Where(), Quoted(key), layers.size() - 1));
    }
    if (seen[layer]) {
      return absl::InvalidArgumentError(
          FormatText("%s has two members for layer %u", json.Where(), layer));
    }
    seen[layer] = true;
    GEMMA_RETURN_IF_ERROR(ReadOwn(own, layers[layer]));
  }
  return absl::OkStatus();
}

// Makes the layers from what they share and from what differs, in one of its
// two spellings. As in transformers, per_layer_config decides if it is there.
absl::Status ReadLayers(const Json& json, const GlobalHeads& global,
                        ConfigDraft& c) {
  for (const BlockType type : c.blocks) {
    LayerConfig& layer = c.layers.emplace_back(c.all);
    layer.type = type;
    if (type == BlockType::kLocalAttention) {
      layer.sliding_window = c.sliding_window;
    }
  }
  GEMMA_ASSIGN_OR_RETURN(const auto own, json.Object("per_layer_config"));
  if (own.has_value()) return ReadOwnOfEach(*own, c.layers);
  for (LayerConfig& layer : c.layers) {
    if (layer.type != BlockType::kGlobalAttention) continue;
    layer.head_dim = global.head_dim;
    layer.num_kv_heads = global.num_kv_heads.value_or(layer.num_kv_heads);
  }
  return absl::OkStatus();
}

// Reads the heads of global layers in the published spelling. The number of
// their keys counts only in models whose global layers have no values of their
// own.
absl::Status ReadGlobalHeads(const Json& json, bool k_eq_v, GlobalHeads& heads,
                             ConfigDraft& c) {
  GEMMA_RETURN_IF_ERROR(json.Read("global_head_dim", heads.head_dim));
  constexpr char kKey[] = "num_global_key_value_heads";
  size_t num_kv_heads = 0;
  GEMMA_RETURN_IF_ERROR(json.Read(kKey, num_kv_heads));
  const auto value = json.Find(kKey);
  if (!value.has_value() || value->is_null()) return absl::OkStatus();
  if (k_eq_v) {
    heads.num_kv_heads = num_kv_heads;
  } else if (num_kv_heads != c.all.num_kv_heads) {
    c.notes.push_back(FormatText(
        "%s is %u, and has no effect, because attention_k_eq_v is false",
        value->Where(), num_kv_heads));
  }
  return absl::OkStatus();
}

// Refuses the bidirectional attention that no published model has. "vision"
// concerns images only.
absl::Status CheckDirection(const Json& json) {
  constexpr char kKey[] = "use_bidirectional_attention";
  bool all = true;
  if (const std::optional<Json> value = json.Find(kKey);
      value.has_value() && value->Get(all).ok() && !all) {
    return absl::OkStatus();
  }
  std::string direction = "vision";
  GEMMA_RETURN_IF_ERROR(json.Read(kKey, direction));
  return direction == "vision"
             ? absl::OkStatus()
             : json.Find(kKey)->Unexpected("'vision', false or null");
}

// Reads what follows from the layers' types: RoPE, and which layers have values
// and keys of their own.
absl::Status ReadAttention(const Json& json, RopeRules rules, bool k_eq_v,
                           ConfigDraft& c) {
  GEMMA_RETURN_IF_ERROR(ReadRopeRules(json, rules, c));
  for (LayerConfig& layer : c.layers) {
    const bool global = layer.type == BlockType::kGlobalAttention;
    layer.rope = RopeOf(global ? rules.global : rules.local, layer.head_dim);
    layer.k_eq_v = global && k_eq_v;
  }
  size_t num_shared = 0;
  bool double_wide = false;
  GEMMA_RETURN_IF_ERROR(json.Read(kSharedLayers, num_shared));
  GEMMA_RETURN_IF_ERROR(json.Read("use_double_wide_mlp", double_wide));
  GEMMA_RETURN_IF_ERROR(ShareKeys(
      num_shared, absl::StrCat(json.Where(), ": ", kSharedLayers), c.layers));
  for (LayerConfig& layer : c.layers) {
    if (double_wide && !layer.has_own_kv()) layer.ffw_dim *= 2;
  }
  return absl::OkStatus();
}

// Reads the experts, which either all layers have or none.
absl::Status ReadExperts(const Json& json, std::vector<LayerConfig>& layers) {
  bool enabled = false;
  GEMMA_RETURN_IF_ERROR(json.Read("enable_moe_block", enabled));
  if (!enabled) return absl::OkStatus();
  LayerConfig l;
  GEMMA_RETURN_IF_ERROR(json.ReadRequired("num_experts", l.num_experts));
  GEMMA_RETURN_IF_ERROR(json.ReadRequired("top_k_experts", l.experts_used));
  // Early files call the width expert_intermediate_size.
  constexpr char kWidth[] = "moe_intermediate_size";
  GEMMA_RETURN_IF_ERROR(json.Read("expert_intermediate_size", l.expert_dim));
  if (l.expert_dim == 0) {
    GEMMA_RETURN_IF_ERROR(json.ReadRequired(kWidth, l.expert_dim));
  }
  GEMMA_RETURN_IF_ERROR(json.Read(kWidth, l.expert_dim));
  if (l.num_experts == 0) {
    return json.Find("num_experts")
        ->Unexpected("1 or more, because enable_moe_block is true");
  }
  for (LayerConfig& layer : layers) {
    layer.num_experts = l.num_experts;
    layer.experts_used = l.experts_used;
    layer.expert_dim = l.expert_dim;
  }
  return absl::OkStatus();
}

// Reads the width and the tokens of per-layer embeddings. A width of null or 0
// means that the model has none.
absl::Status ReadPerLayer(const Json& json, ConfigDraft& c) {
  constexpr char kWidth[] = "hidden_size_per_layer_input";
  c.per_layer_dim = json.IsNull(kWidth) ? 0 : 256;
  GEMMA_RETURN_IF_ERROR(json.Read(kWidth, c.per_layer_dim));
  size_t vocab = 262144;
  GEMMA_RETURN_IF_ERROR(json.Read("vocab_size_per_layer_input", vocab));
  if (c.per_layer_dim == 0) return absl::OkStatus();
  if (vocab == 0) {
    return json.Find("vocab_size_per_layer_input")
        ->Unexpected(absl::StrCat("1 or more, because ", kWidth, " is ",
                                  c.per_layer_dim));
  }
  c.per_layer_vocab = vocab;
  return absl::OkStatus();
}

// Reads what both generators have.
absl::Status ReadGenerator(const Json& json, ConfigDraft& c) {
  size_t num_layers = 30;
  bool k_eq_v = false;
  GlobalHeads global;
  GEMMA_RETURN_IF_ERROR(CheckDirection(json));
  GEMMA_RETURN_IF_ERROR(
      ReadSizesAndHeads(json, "hidden_activation", num_layers, c));
  GEMMA_RETURN_IF_ERROR(ReadFinalSoftCap(json, c));
  GEMMA_RETURN_IF_ERROR(ReadWindow(json, c));
  GEMMA_RETURN_IF_ERROR(ReadTypes(json, num_layers, /*period=*/6, c));
  GEMMA_RETURN_IF_ERROR(json.Read("attention_k_eq_v", k_eq_v));
  GEMMA_RETURN_IF_ERROR(ReadGlobalHeads(json, k_eq_v, global, c));
  GEMMA_RETURN_IF_ERROR(ReadLayers(json, global, c));
  const RopeRules rules = {.local = {}, .global = {1e6f, 1.0f, 0.25}};
  return ReadAttention(json, rules, k_eq_v, c);
}

}  // namespace

absl::Status ReadGemma4(const Json& json, ConfigDraft& c) {
  SetDefaults(c);
  GEMMA_RETURN_IF_ERROR(ReadGenerator(json, c));
  GEMMA_RETURN_IF_ERROR(ReadExperts(json, c.layers));
  return ReadPerLayer(json, c);
}

absl::Status ReadGemma4Unified(const Json& json, ConfigDraft& c) {
  SetDefaults(c);
  c.max_context = 262144;
  c.sliding_window = 1024;
  GEMMA_RETURN_IF_ERROR(NoteIgnored(json, "hidden_size_per_layer_input", c));
  GEMMA_RETURN_IF_ERROR(NoteIgnored(json, "num_experts", c));
  return ReadGenerator(json, c);
}

absl::Status ReadEmbeddingGemma2(const Json& json, ConfigDraft& c) {
  SetDefaults(c);
  c.architecture = "gemma-embedding2";
  c.bidirectional = true;
  c.pooling = Pooling::kMean;
  c.model_dim = 512;
  c.all.ffw_dim = 2048;
  c.all.num_heads = 4;
  c.all.num_kv_heads = 2;
  c.max_context = 262144;
  size_t num_layers = 24;
  size_t period = 6;
  size_t embedding_dim = 768;
  GlobalHeads global = {.num_kv_heads = 1};
  c.per_layer_dim = 512;
  GEMMA_RETURN_IF_ERROR(
      ReadSizesAndHeads(json, "hidden_activation", num_layers, c));
  GEMMA_RETURN_IF_ERROR(
      json.Read("hidden_size_per_layer_input", c.per_layer_dim));
  GEMMA_RETURN_IF_ERROR(json.Read("embedding_dim", embedding_dim));
  if (c.per_layer_dim == 0) {
    return json.Find("hidden_size_per_layer_input")->Unexpected("1 or more");
  }
  c.dense_dims = {embedding_dim};
  GEMMA_RETURN_IF_ERROR(ReadWindow(json, c));
  GEMMA_RETURN_IF_ERROR(ReadPeriod(json, "sliding_window_pattern", period));
  GEMMA_RETURN_IF_ERROR(ReadTypes(json, num_layers, period, c));
  c.sliding_window += 1;  // the positions up to the radius, and the current one
  GEMMA_RETURN_IF_ERROR(ReadGlobalHeads(json, /*k_eq_v=*/true, global, c));
  GEMMA_RETURN_IF_ERROR(ReadLayers(json, global, c));
  const RopeRules rules = {.local = {}, .global = {1e6f, 1.0f, 1.0}};
  return ReadAttention(json, rules, /*k_eq_v=*/false, c);
}

}  // namespace gemma::internal
