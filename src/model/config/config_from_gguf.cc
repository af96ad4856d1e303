// ModelConfig from GGUF metadata. The keys are llama.cpp's. Only this library
// defines keys for RecurrentGemma; see tools/reference/README.md.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gemma/error_reason.h"
#include "src/base/format_text.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/formats/gguf.h"
#include "src/model/config/gemma3n.h"
#include "src/model/config/gemma4_from_gguf.h"
#include "src/model/config/gguf_keys.h"
#include "src/model/config/read_config.h"
#include "src/model/config/rope_from_gguf.h"
#include "src/model/tensors/tensor_names.h"

namespace gemma::internal {
namespace {

// Keys that may hold one number for each layer.
constexpr std::string_view kFfwKey = "feed_forward_length";
constexpr std::string_view kHeadsKey = "attention.head_count";
constexpr std::string_view kKvHeadsKey = "attention.head_count_kv";

// Reads the first size of a required key, which holds one number or an array
// with one number for each layer.
absl::Status ReadFirst(const KeyReader& keys, std::string_view key,
                       size_t& size) {
  if (!keys.IsArray(key)) return keys.ReadRequired(key, size);
  std::vector<size_t> sizes;
  GEMMA_RETURN_IF_ERROR(keys.Read(key, sizes));
  if (!sizes.empty()) size = sizes[0];
  return absl::OkStatus();
}

// Reads one size for each layer if the key is an array.
absl::Status ReadEach(const KeyReader& keys, std::string_view key,
                      size_t LayerConfig::*member, ModelConfig& c) {
  if (!keys.IsArray(key)) return absl::OkStatus();
  std::vector<size_t> sizes;
  GEMMA_RETURN_IF_ERROR(keys.Read(key, sizes));
  if (sizes.size() != c.num_layers()) {
    return absl::InvalidArgumentError(
        FormatText("%s has %u elements, block_count is %u", keys.Where(key),
                   sizes.size(), c.num_layers()));
  }
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == 0) {
      return absl::InvalidArgumentError(FormatText(
          "%s is 0 for layer %u, wanted at least 1", keys.Where(key), i));
    }
    c.layers[i].*member = sizes[i];
  }
  return absl::OkStatus();
}

// Reads the size of a key head, which must equal the size of a value head.
absl::Status ReadHeadDim(const KeyReader& keys, std::string_view key_length,
                         std::string_view value_length, size_t& head_dim) {
  GEMMA_RETURN_IF_ERROR(keys.Read(key_length, head_dim));
  size_t of_values = head_dim;
  GEMMA_RETURN_IF_ERROR(keys.Read(value_length, of_values));
  if (of_values == head_dim) return absl::OkStatus();
  return absl::InvalidArgumentError(
      FormatText("%s is %u, wanted %s %u", keys.Where(value_length), of_values,
                 key_length, head_dim));
}

absl::Status ReadSizes(const KeyReader& keys, size_t& num_layers,
                       ConfigDraft& c) {
  GEMMA_RETURN_IF_ERROR(keys.ReadRequired("embedding_length", c.model_dim));
  GEMMA_RETURN_IF_ERROR(ReadFirst(keys, kFfwKey, c.all.ffw_dim));
  GEMMA_RETURN_IF_ERROR(ReadFirst(keys, kHeadsKey, c.all.num_heads));
  c.all.num_kv_heads = c.all.num_heads;
  if (keys.Has(kKvHeadsKey)) {
    GEMMA_RETURN_IF_ERROR(ReadFirst(keys, kKvHeadsKey, c.all.num_kv_heads));
  }
  if (c.all.num_heads != 0) c.all.head_dim = c.model_dim / c.all.num_heads;
  GEMMA_RETURN_IF_ERROR(ReadHeadDim(keys, "attention.key_length",
                                    "attention.value_length", c.all.head_dim));
  GEMMA_RETURN_IF_ERROR(keys.Read("context_length", c.max_context));
  GEMMA_RETURN_IF_ERROR(
      keys.Read("attention.layer_norm_rms_epsilon", c.rms_norm_eps));
  GEMMA_RETURN_IF_ERROR(keys.ReadRequired("block_count", num_layers));
  if (num_layers < 1 || num_layers > kMaxLayers) {
    return absl::InvalidArgumentError(FormatText("%s is %u, wanted 1 to %u",
                                                 keys.Where("block_count"),
                                                 num_layers, kMaxLayers));
  }
  return absl::OkStatus();
}

// Reads what differs between layers: sizes stored in arrays, and the heads of
// local layers.
absl::Status ReadDifferences(const KeyReader& keys, ModelConfig& c) {
  GEMMA_RETURN_IF_ERROR(ReadEach(keys, kFfwKey, &LayerConfig::ffw_dim, c));
  GEMMA_RETURN_IF_ERROR(ReadEach(keys, kHeadsKey, &LayerConfig::num_heads, c));
  GEMMA_RETURN_IF_ERROR(
      ReadEach(keys, kKvHeadsKey, &LayerConfig::num_kv_heads, c));
  size_t head_dim = 0;
  GEMMA_RETURN_IF_ERROR(
      ReadHeadDim(keys, kLocalKeyLength, kLocalValueLength, head_dim));
  if (head_dim == 0) return absl::OkStatus();
  size_t rotary_dim = head_dim;
  GEMMA_RETURN_IF_ERROR(keys.Read(kLocalRotaryDim, rotary_dim));
  for (LayerConfig& layer : c.layers) {
    if (layer.type != BlockType::kLocalAttention) continue;
    layer.head_dim = head_dim;
    layer.rope.rotary_dim = rotary_dim;
  }
  return absl::OkStatus();
}

// Reads the blocks from a period, or from a list that says for each layer
// whether it is local. A period of 0: the key must be there.
absl::Status ReadBlocks(const KeyReader& keys, size_t num_layers, size_t period,
                        std::vector<BlockType>& blocks) {
  constexpr std::string_view kKey = "attention.sliding_window_pattern";
  if (period == 0 && !keys.Has(kKey)) {
    return keys.ReadRequired(kKey, period);
  }
  if (!keys.IsArray(kKey)) {
    GEMMA_RETURN_IF_ERROR(keys.Read(kKey, period));
    if (period == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(keys.Where(kKey), " is 0, wanted at least 1"));
    }
    blocks = PeriodicBlocks(num_layers, period);
    return absl::OkStatus();
  }
  std::vector<bool> local;
  if (keys.IsBool(kKey)) {
    GEMMA_RETURN_IF_ERROR(keys.Read(kKey, local));
  } else {
    std::vector<size_t> numbers;
    GEMMA_RETURN_IF_ERROR(keys.Read(kKey, numbers));
    for (const size_t number : numbers) local.push_back(number != 0);
  }
  if (local.size() != num_layers) {
    return absl::InvalidArgumentError(
        FormatText("%s has %u elements, block_count is %u", keys.Where(kKey),
                   local.size(), num_layers));
  }
  blocks.clear();
  for (const bool is_local : local) {
    blocks.push_back(is_local ? BlockType::kLocalAttention
                              : BlockType::kGlobalAttention);
  }
  return absl::OkStatus();
}

absl::Status ReadGemma2(const KeyReader& keys, size_t num_layers,
                        ConfigDraft& c) {
  c.post_norms = true;
  c.sliding_window = 4096;
  c.attn_logits_soft_cap = 50.0f;  // early files lack these keys
  c.final_logits_soft_cap = 30.0f;
  GEMMA_RETURN_IF_ERROR(
      keys.Read("attention.sliding_window", c.sliding_window));
  GEMMA_RETURN_IF_ERROR(
      keys.Read("attn_logit_softcapping", c.attn_logits_soft_cap));
  GEMMA_RETURN_IF_ERROR(
      keys.Read("final_logit_softcapping", c.final_logits_soft_cap));
  GEMMA_RETURN_IF_ERROR(ReadOneRope(keys, c));
  return ReadBlocks(keys, num_layers, /*period=*/2, c.blocks);
}

absl::Status ReadGemma3(const KeyReader& keys, size_t num_layers,
                        ConfigDraft& c) {
  c.post_norms = true;
  c.qk_norm = true;
  c.rope_base_global = 1000000.0f;
  GEMMA_RETURN_IF_ERROR(
      keys.Read("attention.sliding_window", c.sliding_window));
  GEMMA_RETURN_IF_ERROR(
      keys.Read("final_logit_softcapping", c.final_logits_soft_cap));
  GEMMA_RETURN_IF_ERROR(ReadTwoRopes(keys, num_layers, c));
  if (c.sliding_window == 0) {
    c.blocks.assign(num_layers, BlockType::kGlobalAttention);
    return absl::OkStatus();
  }
  return ReadBlocks(keys, num_layers, /*period=*/6, c.blocks);
}

// Reads the dense layers after pooling. Converters drop them by default.
absl::Status ReadDense(const KeyReader& keys, const Checkpoint& checkpoint,
                       ConfigDraft& c) {
  const TensorNames names = TensorNames::Gguf();
  for (size_t i = 0; i < kMaxDense; ++i) {
    size_t width = 0;
    GEMMA_RETURN_IF_ERROR(keys.Read(GgufDenseKey(i, "out"), width));
    const auto tensor =
        checkpoint.tensors.find(names.Name(WeightRole::kDense, i));
    if (width == 0 && tensor != checkpoint.tensors.end() &&
        !tensor->second.shape.empty()) {
      width = tensor->second.shape[0];
    }
    if (width == 0) break;
    c.dense_dims.push_back(width);
  }
  return absl::OkStatus();
}

absl::Status ReadEmbedding(const KeyReader& keys, size_t num_layers,
                           const Checkpoint& checkpoint, ConfigDraft& c) {
  GEMMA_RETURN_IF_ERROR(ReadGemma3(keys, num_layers, c));
  GEMMA_RETURN_IF_ERROR(ReadMeanPooling(keys, c));
  return ReadDense(keys, checkpoint, c);
}

absl::Status ReadRecurrentGemma(const KeyReader& keys, size_t num_layers,
                                RecurrentWindow window, ConfigDraft& c) {
  c.biases = true;
  c.lru_width = c.model_dim;
  c.conv_width = 4;
  c.sliding_window = 2048;
  c.final_logits_soft_cap = 30.0f;
  c.all.rope.rotary_dim = c.all.head_dim / 2;
  GEMMA_RETURN_IF_ERROR(
      keys.Read("attention.sliding_window", c.sliding_window));
  c.sliding_window = RecurrentKeys(c.sliding_window, window);
  GEMMA_RETURN_IF_ERROR(
      keys.Read("final_logit_softcapping", c.final_logits_soft_cap));
  GEMMA_RETURN_IF_ERROR(ReadOneRope(keys, c));
  if (c.rope_factor_global != 1.0f) {
    return absl::InvalidArgumentError(
        FormatText("%s is %g, wanted 1", keys.Where("rope.scaling.factor"),
                   c.rope_factor_global));
  }
  GEMMA_RETURN_IF_ERROR(keys.Read("recurrent.lru_width", c.lru_width));
  GEMMA_RETURN_IF_ERROR(keys.Read("recurrent.conv_width", c.conv_width));
  std::vector<std::string_view> words = {"recurrent", "recurrent", "attention"};
  GEMMA_RETURN_IF_ERROR(keys.Read("recurrent.block_types", words));
  const std::vector<std::string> pattern(words.begin(), words.end());
  GEMMA_ASSIGN_OR_RETURN(
      c.blocks,
      RepeatedBlocks(pattern, num_layers, keys.Where("recurrent.block_types")));
  return absl::OkStatus();
}

// Reads the id of a token. One that no token can have, such as 2^32 - 1, counts
// as missing; the tokenizer notes it.
absl::Status ReadToken(const GgufMetadata& metadata, std::string_view key,
                       std::optional<TokenId>& token) {
  if (!metadata.Has(key)) return absl::OkStatus();
  int64_t id = -1;
  GEMMA_RETURN_IF_ERROR(metadata.Read(key, id));
  if (id >= 0 && std::in_range<TokenId>(id)) token = static_cast<TokenId>(id);
  return absl::OkStatus();
}

absl::Status ReadTokens(const GgufMetadata& metadata, ConfigDraft& c) {
  std::optional<TokenId> bos;
  GEMMA_RETURN_IF_ERROR(
      ReadToken(metadata, "tokenizer.ggml.bos_token_id", bos));
  c.bos_token = bos.value_or(c.bos_token);
  // The ends of a text, of a turn and of a message.
  for (const char* key :
       {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
        "tokenizer.ggml.eom_token_id"}) {
    std::optional<TokenId> token;
    GEMMA_RETURN_IF_ERROR(ReadToken(metadata, key, token));
    if (token.has_value()) c.stop_tokens.push_back(*token);
  }
  GEMMA_RETURN_IF_ERROR(metadata.Read(kBosTokenKey, c.bos_token));
  GEMMA_RETURN_IF_ERROR(metadata.Read(kSuppressTokensKey, c.suppress_tokens));
  return metadata.Read(kStopTokensKey, c.stop_tokens);
}

}  // namespace

// head_dim^-0.5, except in Gemma 3n and 4, which norm queries, and in the two
// largest models. As in llama.cpp, their depth identifies them.
float GgufQueryScale(const ModelConfig& config) {
  if (IsGemma4(config.architecture) || config.architecture == kGemma3n) {
    return 1.0f;
  }
  const size_t depth = config.num_layers();
  const LayerConfig& layer = GgufMainLayer(config);
  if ((config.architecture == "gemma2" && depth == 46) ||
      (config.architecture == "gemma3" && depth == 62)) {
    return InverseRoot(config.model_dim / layer.num_heads);
  }
  return InverseRoot(layer.head_dim);
}

const LayerConfig& GgufMainLayer(const ModelConfig& config) {
  for (const BlockType type :
       {BlockType::kGlobalAttention, BlockType::kLocalAttention}) {
    for (const LayerConfig& layer : config.layers) {
      if (layer.type == type) return layer;
    }
  }
  return config.layers[0];
}

absl::StatusOr<ModelConfig> ConfigFromGguf(const Checkpoint& checkpoint,
                                           RecurrentWindow window,
                                           Notes* notes) {
  const GgufMetadata& metadata = *checkpoint.metadata;
  ConfigDraft c;
  c.max_context = 8192;
  c.rms_norm_eps = 1e-6f;
  c.rope_base_local = 10000.0f;
  c.rope_base_global = 10000.0f;
  GEMMA_RETURN_IF_ERROR(
      WithReason(metadata.ReadRequired("general.architecture", c.architecture),
                 ErrorReason::kOtherArchitecture));
  if (c.architecture != "gemma" && c.architecture != "gemma2" &&
      c.architecture != "gemma3" && c.architecture != "gemma-embedding" &&
      c.architecture != "recurrentgemma" && c.architecture != kGemma3n &&
      !IsGemma4(c.architecture)) {
    const bool is_gemma = IsOfFamily(c.architecture);
    return WithReason(
        absl::InvalidArgumentError(FormatText(
            "%s: key 'general.architecture' is %s%s", metadata.path(),
            Quoted(c.architecture),
            is_gemma ? ": this Gemma is not read yet, wanted 'gemma', "
                       "'gemma2', 'gemma3', 'gemma3n', 'gemma4', "
                       "'gemma-embedding', 'gemma-embedding2' or "
                       "'recurrentgemma'"
                     : ", wanted a Gemma model")),
        // llama.cpp's name for vision towers.
        c.architecture == "clip" ? ErrorReason::kVisionTower
        : is_gemma               ? ErrorReason::kUnreadGemma
                                 : ErrorReason::kOtherArchitecture);
  }
  const KeyReader keys(metadata, c.architecture);
  size_t num_layers = 0;
  GEMMA_RETURN_IF_ERROR(ReadSizes(keys, num_layers, c));
  c.all.rope.rotary_dim = c.all.head_dim;
  if (c.all.num_heads == 0 || c.all.head_dim == 0) {
    return absl::InvalidArgumentError(FormatText(
        "%s: attention.head_count is %u and attention.key_length %u, wanted at "
        "least 1",
        metadata.path(), c.all.num_heads, c.all.head_dim));
  }
  if (c.architecture == "gemma2") {
    GEMMA_RETURN_IF_ERROR(ReadGemma2(keys, num_layers, c));
  } else if (c.architecture == "gemma3") {
    GEMMA_RETURN_IF_ERROR(ReadGemma3(keys, num_layers, c));
  } else if (c.architecture == "gemma-embedding") {
    GEMMA_RETURN_IF_ERROR(ReadEmbedding(keys, num_layers, checkpoint, c));
  } else if (c.architecture == kGemma3n) {
    GEMMA_RETURN_IF_ERROR(ReadBlocks(keys, num_layers, /*period=*/0, c.blocks));
    GEMMA_RETURN_IF_ERROR(ReadGemma3n(keys, checkpoint, c));
  } else if (IsGemma4(c.architecture)) {
    GEMMA_RETURN_IF_ERROR(ReadBlocks(keys, num_layers, /*period=*/0, c.blocks));
    GEMMA_RETURN_IF_ERROR(ReadGemma4(keys, checkpoint, c));
  } else if (c.architecture == "recurrentgemma") {
    GEMMA_RETURN_IF_ERROR(ReadRecurrentGemma(keys, num_layers, window, c));
  } else {
    GEMMA_RETURN_IF_ERROR(ReadOneRope(keys, c));
    c.blocks.assign(num_layers, BlockType::kGlobalAttention);
  }
  // Only RecurrentGemma is published with heads that rotate in part.
  GEMMA_RETURN_IF_ERROR(
      keys.Read("rope.dimension_count", c.all.rope.rotary_dim));
  // Only our own files have these keys.
  GEMMA_RETURN_IF_ERROR(keys.Read(kEmbeddingScaleKey, c.embedding_scale));
  GEMMA_RETURN_IF_ERROR(keys.Read(kPerLayerScaleKey, c.per_layer_scale));
  GEMMA_RETURN_IF_ERROR(keys.Read(kExactGeluKey, c.exact_gelu));
  GEMMA_RETURN_IF_ERROR(CheckOtherKeys(keys, c));
  GEMMA_RETURN_IF_ERROR(ReadTokens(metadata, c));
  ModelConfig config = Finished(std::move(c), notes);
  GEMMA_RETURN_IF_ERROR(ReadDifferences(keys, config));
  if (IsGemma4(config.architecture)) {
    GEMMA_RETURN_IF_ERROR(ReadGemma4Layers(keys, checkpoint, config));
  } else if (config.architecture == kGemma3n) {
    GEMMA_RETURN_IF_ERROR(ReadGemma3nLayers(keys, config));
  }
  config.query_scale = GgufQueryScale(config);
  GEMMA_RETURN_IF_ERROR(keys.Read("attention.scale", config.query_scale));
  return config;
}

Conventions GgufConventionsOf(const Checkpoint& checkpoint) {
  std::string architecture;
  checkpoint.metadata->Read("general.architecture", architecture).IgnoreError();
  return {.naming = architecture == "gemma-embedding2" ? Naming::kGgufEmbedding2
                                                       : Naming::kGguf};
}

}  // namespace gemma::internal
