#include "src/model/config/json_fields.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"

namespace gemma::internal {
namespace {

absl::Status CheckLayers(const Json& json, size_t num_layers) {
  if (num_layers >= 1 && num_layers <= kMaxLayers) return absl::OkStatus();
  return absl::InvalidArgumentError(
      FormatText("%s: num_hidden_layers is %u, wanted 1 to %u", json.Where(),
                 num_layers, kMaxLayers));
}

// Refuses local layers without a window: transformers either fails or lets a
// position attend to nothing.
absl::Status CheckWindow(const Json& json, const ConfigDraft& c) {
  const auto local =
      std::count(c.blocks.begin(), c.blocks.end(), BlockType::kLocalAttention);
  const auto window = json.Find("sliding_window");
  if (c.sliding_window != 0 || local == 0 || !window.has_value()) {
    return absl::OkStatus();
  }
  return window->Unexpected(absl::StrCat("1 or more, because ", local,
                                         " layers are 'sliding_attention'"));
}

// null means no cap, but Read ignores null and would keep the default.
absl::Status ReadCap(const Json& json, const char* key, float& cap) {
  if (json.IsNull(key)) cap = 0.0f;
  return json.Read(key, cap);
}

}  // namespace

absl::Status ReadActivation(const Json& json, const char* key, ConfigDraft& c) {
  std::string name = "gelu_pytorch_tanh";
  GEMMA_RETURN_IF_ERROR(json.Read(key, name));
  const bool is_gemma1 = c.architecture == "gemma";
  c.exact_gelu = name == "gelu_python" || (name == "gelu" && !is_gemma1);
  if (c.exact_gelu || name == "gelu") return absl::OkStatus();
  for (const char* tanh : {"gelu_pytorch_tanh", "gelu_new", "gelu_fast",
                           "gelu_accurate", "gelu_python_tanh"}) {
    if (name == tanh) return absl::OkStatus();
  }
  return json.Find(key)->Unexpected("'gelu_pytorch_tanh' or 'gelu'");
}

absl::Status ReadSizes(const Json& json, size_t& num_layers, ConfigDraft& c) {
  GEMMA_RETURN_IF_ERROR(json.Read("intermediate_size", c.all.ffw_dim));
  return ReadSizesButFfw(json, num_layers, c);
}

absl::Status ReadSizesButFfw(const Json& json, size_t& num_layers,
                             ConfigDraft& c) {
  GEMMA_RETURN_IF_ERROR(json.Read("vocab_size", c.vocab_size));
  GEMMA_RETURN_IF_ERROR(json.Read("hidden_size", c.model_dim));
  GEMMA_RETURN_IF_ERROR(json.Read("num_attention_heads", c.all.num_heads));
  GEMMA_RETURN_IF_ERROR(json.Read("num_key_value_heads", c.all.num_kv_heads));
  GEMMA_RETURN_IF_ERROR(json.Read("max_position_embeddings", c.max_context));
  GEMMA_RETURN_IF_ERROR(json.Read("rms_norm_eps", c.rms_norm_eps));
  GEMMA_RETURN_IF_ERROR(json.Read("num_hidden_layers", num_layers));
  return CheckLayers(json, num_layers);
}

absl::Status ReadSizesAndHeads(const Json& json, const char* activation,
                               size_t& num_layers, ConfigDraft& c) {
  GEMMA_RETURN_IF_ERROR(ReadSizes(json, num_layers, c));
  GEMMA_RETURN_IF_ERROR(json.Read("head_dim", c.all.head_dim));
  return ReadActivation(json, activation, c);
}

absl::Status ReadPeriod(const Json& json, const char* key, size_t& period) {
  GEMMA_RETURN_IF_ERROR(json.Read(key, period));
  return period != 0 ? absl::OkStatus()
                     : json.Find(key)->Unexpected("at least 1");
}

absl::Status ReadWindow(const Json& json, ConfigDraft& c) {
  if (json.IsNull("sliding_window")) c.sliding_window = 0;
  return json.Read("sliding_window", c.sliding_window);
}

absl::Status ReadLayerTypes(const Json& json, size_t num_layers, size_t period,
                            ConfigDraft& c) {
  std::vector<std::string> types;
  GEMMA_RETURN_IF_ERROR(json.Read("layer_types", types));
  if (types.empty()) {
    c.blocks = PeriodicBlocks(num_layers, period);
    return CheckWindow(json, c);
  }
  if (types.size() != num_layers) {
    return absl::InvalidArgumentError(
        FormatText("%s: layer_types names %u layers, num_hidden_layers is %u",
                   json.Where(), types.size(), num_layers));
  }
  for (const std::string& type : types) {
    if (type == "full_attention") {
      c.blocks.push_back(BlockType::kGlobalAttention);
    } else if (type == "sliding_attention") {
      c.blocks.push_back(BlockType::kLocalAttention);
    } else {
      return absl::InvalidArgumentError(
          FormatText("%s: layer_types holds %s, wanted 'full_attention' or "
                     "'sliding_attention'",
                     json.Where(), Quoted(type)));
    }
  }
  return CheckWindow(json, c);
}

absl::Status ReadSoftCaps(const Json& json, ConfigDraft& c) {
  GEMMA_RETURN_IF_ERROR(
      ReadCap(json, "attn_logit_softcapping", c.attn_logits_soft_cap));
  return ReadCap(json, "final_logit_softcapping", c.final_logits_soft_cap);
}

absl::Status ReadFinalSoftCap(const Json& json, ConfigDraft& c) {
  GEMMA_RETURN_IF_ERROR(NoteIgnored(json, "attn_logit_softcapping", c));
  return ReadCap(json, "final_logit_softcapping", c.final_logits_soft_cap);
}

absl::Status NoteIgnored(const Json& json, const char* key, ConfigDraft& c) {
  float value = 0.0f;
  GEMMA_RETURN_IF_ERROR(json.Read(key, value));
  if (value == 0.0f) return absl::OkStatus();
  c.notes.push_back(FormatText("%s is %g, and has no effect in this model",
                               json.Find(key)->Where(), value));
  return absl::OkStatus();
}

}  // namespace gemma::internal
