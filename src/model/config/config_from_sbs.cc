// ModelConfig from a file of gemma.cpp: from its blob "config", or, in files
// from before 2025, from the names and sizes of the tensors.
//
// Sizes come from the file. The computation is the one that the model was
// trained with, as for the other containers. gemma.cpp (of October 2025)
// differs from it: it scales the queries of Gemma 3 27B by 128^-0.5, not
// 168^-0.5; it does not divide the global frequencies of Gemma 3 4B and larger
// by 8; it gives the global layers of the 270M a RoPE base of 10000, not of a
// million; it does not cap the logits of RecurrentGemma.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/status_macros.h"
#include "src/formats/sbs_fields.h"
#include "src/model/config/read_config.h"
#include "src/model/config/sbs_sizes.h"

namespace gemma::internal {
namespace {

// gemma.cpp's numbers.
constexpr uint32_t kGemmaLayer = 0;  // an attention layer
constexpr uint32_t kGriffinLayer = 1;
constexpr uint32_t kByModelDim = 1;  // the query scale: (width / heads)^-0.5

// The record of one layer.
struct Layer {
  size_t ffw_dim = 0, num_heads = 0, num_kv_heads = 0, head_dim = 0;
  size_t lru_width = 0, conv_width = 0;  // of recurrent layers
  bool biases = false, post_norms = false, qk_norm = false;
  uint32_t type = kGemmaLayer;
};

absl::Status ReadLayer(SbsFields& fields, Layer& layer) {
  uint32_t activation = 0;
  uint32_t post_norm = 0;
  GEMMA_RETURN_IF_ERROR(fields.Enter("layer"));
  GEMMA_RETURN_IF_ERROR(fields.Skip("model_dim"));
  GEMMA_RETURN_IF_ERROR(fields.Read("griffin_dim", layer.lru_width));
  GEMMA_RETURN_IF_ERROR(fields.Read("ff_hidden_dim", layer.ffw_dim));
  GEMMA_RETURN_IF_ERROR(fields.Read("heads", layer.num_heads));
  GEMMA_RETURN_IF_ERROR(fields.Read("kv_heads", layer.num_kv_heads));
  GEMMA_RETURN_IF_ERROR(fields.Read("qkv_dim", layer.head_dim));
  GEMMA_RETURN_IF_ERROR(fields.Read("conv1d_width", layer.conv_width));
  GEMMA_RETURN_IF_ERROR(fields.Read("ff_biases", layer.biases));
  GEMMA_RETURN_IF_ERROR(fields.Skip("softmax_attn_output_biases"));
  GEMMA_RETURN_IF_ERROR(fields.Skip("optimized_gating"));
  GEMMA_RETURN_IF_ERROR(fields.Read("post_norm", post_norm));
  GEMMA_RETURN_IF_ERROR(fields.Read("type", layer.type));
  GEMMA_RETURN_IF_ERROR(fields.Read("activation", activation));
  GEMMA_RETURN_IF_ERROR(fields.Skip("post_qk"));
  GEMMA_RETURN_IF_ERROR(fields.Read("use_qk_norm", layer.qk_norm));
  fields.Leave();
  layer.post_norms = post_norm == 1;
  if (post_norm > 1 || layer.type > kGriffinLayer || activation != 0) {
    return fields.Error(FormatText(
        "a layer has post_norm %u, type %u and activation %u, wanted at most "
        "1, at most 1 and 0",
        post_norm, layer.type, activation));
  }
  return absl::OkStatus();
}

// Reads the layers. They may differ only in their type.
absl::Status ReadLayers(SbsFields& fields, size_t num_layers, ConfigDraft& c) {
  size_t count = 0;
  GEMMA_RETURN_IF_ERROR(fields.ReadCount("layer_configs", count));
  if (count != num_layers || count < 1 || count > kMaxLayers) {
    return fields.Error(FormatText(
        "num_layers is %u and there are %u layer_configs, wanted the same "
        "number, 1 to %u",
        num_layers, count, kMaxLayers));
  }
  for (size_t i = 0; i < count; ++i) {
    Layer layer;
    GEMMA_RETURN_IF_ERROR(ReadLayer(fields, layer));
    const bool recurrent = layer.type == kGriffinLayer;
    c.blocks.push_back(recurrent ? BlockType::kRecurrent
                                 : BlockType::kGlobalAttention);
    if (recurrent) c.lru_width = layer.lru_width;
    if (recurrent) c.conv_width = layer.conv_width;
    if (i == 0) {
      c.all.ffw_dim = layer.ffw_dim;
      c.all.num_heads = layer.num_heads;
      c.all.num_kv_heads = layer.num_kv_heads;
      c.all.head_dim = layer.head_dim;
      c.biases = layer.biases;
      c.post_norms = layer.post_norms;
      c.qk_norm = layer.qk_norm;
    }
    if (layer.ffw_dim != c.all.ffw_dim || layer.num_heads != c.all.num_heads ||
        layer.num_kv_heads != c.all.num_kv_heads ||
        layer.head_dim != c.all.head_dim || layer.biases != c.biases ||
        layer.post_norms != c.post_norms || layer.qk_norm != c.qk_norm) {
      return fields.Error(FormatText(
          "layer %u has other sizes than layer 0, wanted the same", i));
    }
  }
  return absl::OkStatus();
}

// Reads the attention windows. A layer whose window is the model's whole
// context is global.
absl::Status ReadWindows(SbsFields& fields, size_t max_context,
                         ConfigDraft& c) {
  size_t count = 0;
  GEMMA_RETURN_IF_ERROR(fields.ReadCount("attention_window_sizes", count));
  if (count != c.blocks.size()) {
    return fields.Error(
        FormatText("there are %u attention_window_sizes, wanted %u", count,
                   c.blocks.size()));
  }
  for (BlockType& block : c.blocks) {
    size_t window = 0;
    GEMMA_RETURN_IF_ERROR(fields.Read("attention_window_sizes", window));
    // Griffin's max_seq_len is its window: all of its attention is local.
    const bool global = window == max_context && !c.biases;
    if (block == BlockType::kRecurrent || global) continue;
    block = BlockType::kLocalAttention;
    if (c.sliding_window != 0 && c.sliding_window != window) {
      return fields.Error(FormatText(
          "attention_window_sizes are %u and %u, wanted one size for all "
          "local layers",
          c.sliding_window, window));
    }
    c.sliding_window = window;
  }
  return absl::OkStatus();
}

absl::Status ReadVit(SbsFields& fields) {
  GEMMA_RETURN_IF_ERROR(fields.Enter("vit_config"));
  fields.Leave();
  return fields.Skip("pool_dim");
}

absl::Status ReadStopTokens(SbsFields& fields, ConfigDraft& c) {
  for (const char* name : {"eos_id", "secondary_eos_id"}) {
    uint32_t token = 1;
    GEMMA_RETURN_IF_ERROR(fields.Read(name, token));
    // Zero means no token: the first files have a field here that was dropped
    // later.
    if (token != 0) c.stop_tokens.push_back(static_cast<TokenId>(token));
  }
  return absl::OkStatus();
}

// Reads the record of the configuration.
absl::Status ReadRecord(SbsFields& fields, SbsConfig& out) {
  ConfigDraft& c = out.model;
  std::string name;
  size_t num_layers = 0;
  uint32_t query_scale = 0;
  bool absolute_positions = false;
  uint32_t norm_groups = 1;
  GEMMA_RETURN_IF_ERROR(fields.Enter("config"));
  GEMMA_RETURN_IF_ERROR(fields.Skip("model_family_version"));
  GEMMA_RETURN_IF_ERROR(fields.Read("display_name", name));
  GEMMA_RETURN_IF_ERROR(fields.Skip("model"));
  GEMMA_RETURN_IF_ERROR(fields.Skip("wrapping"));
  GEMMA_RETURN_IF_ERROR(fields.Skip("weight"));
  GEMMA_RETURN_IF_ERROR(fields.Read("num_layers", num_layers));
  GEMMA_RETURN_IF_ERROR(fields.Read("model_dim", c.model_dim));
  GEMMA_RETURN_IF_ERROR(fields.Read("vocab_size", c.vocab_size));
  GEMMA_RETURN_IF_ERROR(fields.Read("max_seq_len", c.max_context));
  GEMMA_RETURN_IF_ERROR(fields.Skip("num_tensor_scales"));
  GEMMA_RETURN_IF_ERROR(fields.Read("att_cap", c.attn_logits_soft_cap));
  GEMMA_RETURN_IF_ERROR(fields.Read("final_cap", c.final_logits_soft_cap));
  GEMMA_RETURN_IF_ERROR(fields.Read("absolute_pe", absolute_positions));
  GEMMA_RETURN_IF_ERROR(fields.Skip("use_local_attention"));
  GEMMA_RETURN_IF_ERROR(fields.Read("query_scale", query_scale));
  if (absolute_positions || query_scale > kByModelDim) {
    return fields.Error(FormatText(
        "absolute_pe is %d and query_scale %u, wanted 0 and at most 1",
        absolute_positions, query_scale));
  }
  out.scale_by_model_dim = query_scale == kByModelDim;
  GEMMA_RETURN_IF_ERROR(ReadLayers(fields, num_layers, c));
  GEMMA_RETURN_IF_ERROR(ReadWindows(fields, c.max_context, c));
  GEMMA_RETURN_IF_ERROR(fields.Read("norm_num_groups", norm_groups));
  if (norm_groups != 1) {
    return fields.Error(
        FormatText("norm_num_groups is %u, wanted 1", norm_groups));
  }
  GEMMA_RETURN_IF_ERROR(ReadVit(fields));
  return ReadStopTokens(fields, c);
}

void CompleteGemma3(ConfigDraft& c) {
  constexpr size_t kLayersOfLargest = 62;  // as in config_from_gguf.cc
  constexpr size_t kWidthOf1B = 1152;
  c.architecture = "gemma3";
  c.rope_base_global = 1000000.0f;
  const bool small = c.model_dim <= kWidthOf1B;
  if (!small) {
    c.rope_factor_global = 8.0f;
    c.max_context = 131072;
  }
  if (c.blocks.size() == kLayersOfLargest) {
    c.query_scale = InverseRoot(c.model_dim / c.all.num_heads);
  }
}

// Adds values that are fixed for a family and that its files leave out.
absl::Status Complete(const SbsFile& file, RecurrentWindow window,
                      SbsConfig& config) {
  ConfigDraft& c = config.model;
  for (const size_t size : {c.all.num_heads, c.all.head_dim, c.model_dim}) {
    if (size >= 1 && size <= kMaxSize) continue;
    return absl::InvalidArgumentError(FormatText(
        "%s: %u heads of %u values and a width of %u, wanted 1 to %u each",
        file.path, c.all.num_heads, c.all.head_dim, c.model_dim, kMaxSize));
  }
  if (file.tensors.contains("img_emb_kernel") && !c.qk_norm) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.path,
                     ": tensor 'img_emb_kernel' belongs to PaliGemma, which is "
                     "not supported, wanted a text model or Gemma 3"));
  }
  c.rms_norm_eps = 1e-6f;
  c.rope_base_local = 10000.0f;
  c.rope_base_global = 10000.0f;
  c.all.rope.rotary_dim = c.all.head_dim;
  c.query_scale =
      InverseRoot(config.scale_by_model_dim ? c.model_dim / c.all.num_heads
                                            : c.all.head_dim);
  if (c.biases) {
    c.architecture = "recurrentgemma";
    c.all.rope.rotary_dim = c.all.head_dim / 2;
    c.final_logits_soft_cap = 30.0f;
    c.sliding_window = RecurrentKeys(c.sliding_window, window);
    c.max_context = 8192;
  } else if (c.qk_norm) {
    CompleteGemma3(c);
  } else {
    c.architecture = c.post_norms ? "gemma2" : "gemma";
    // For Gemma 1, gemma.cpp set the context length at build time.
    if (!c.post_norms) c.max_context = 8192;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ModelConfig> ConfigFromSbs(const Checkpoint& checkpoint,
                                          RecurrentWindow window) {
  const SbsFile& file = *checkpoint.sbs;
  SbsConfig config;
  if (file.config.has_value()) {
    SbsFields fields(*file.config, absl::StrCat(file.path, ": blob 'config'"));
    GEMMA_RETURN_IF_ERROR(ReadRecord(fields, config));
  } else {
    GEMMA_ASSIGN_OR_RETURN(config, ConfigFromSizes(file));
  }
  GEMMA_RETURN_IF_ERROR(Complete(file, window, config));
  return Finished(std::move(config.model));
}

}  // namespace gemma::internal
