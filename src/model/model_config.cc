#include "gemma/model_config.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "src/base/status_macros.h"
#include "src/model/read_config.h"

namespace gemma {
namespace {

absl::Status CheckSize(const char* name, size_t value) {
  if (value >= 1 && value <= kMaxSize) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("%s is %u, wanted 1 to %u", name, value, kMaxSize));
}

absl::Status CheckPositive(const char* name, float value) {
  if (std::isfinite(value) && value > 0.0f) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("%s is %g, wanted a positive number", name, value));
}

absl::Status CheckCap(const char* name, float value) {
  if (std::isfinite(value) && value >= 0.0f) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "%s is %g, wanted 0 (none) or a positive number", name, value));
}

bool HasBlock(const ModelConfig& c, BlockType type) {
  return std::find(c.blocks.begin(), c.blocks.end(), type) != c.blocks.end();
}

absl::Status CheckSizes(const ModelConfig& c) {
  GEMMA_RETURN_IF_ERROR(CheckSize("model_dim", c.model_dim));
  GEMMA_RETURN_IF_ERROR(CheckSize("ffw_dim", c.ffw_dim));
  GEMMA_RETURN_IF_ERROR(CheckSize("num_heads", c.num_heads));
  GEMMA_RETURN_IF_ERROR(CheckSize("num_kv_heads", c.num_kv_heads));
  GEMMA_RETURN_IF_ERROR(CheckSize("head_dim", c.head_dim));
  GEMMA_RETURN_IF_ERROR(CheckSize("vocab_size", c.vocab_size));
  GEMMA_RETURN_IF_ERROR(CheckSize("max_context", c.max_context));
  GEMMA_RETURN_IF_ERROR(
      CheckSize("num_heads * head_dim", c.num_heads * c.head_dim));
  if (c.blocks.empty() || c.blocks.size() > kMaxLayers) {
    return absl::InvalidArgumentError(
        absl::StrFormat("the model has %u layers, wanted 1 to %u",
                        c.blocks.size(), kMaxLayers));
  }
  return absl::OkStatus();
}

absl::Status CheckAttention(const ModelConfig& c) {
  if (c.num_heads % c.num_kv_heads != 0) {
    return absl::InvalidArgumentError(
        absl::StrFormat("num_heads is %u, wanted a multiple of num_kv_heads %u",
                        c.num_heads, c.num_kv_heads));
  }
  if (c.rotary_dim > c.head_dim || c.rotary_dim % 2 != 0) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "rotary_dim is %u, wanted an even number up to head_dim %u",
        c.rotary_dim, c.head_dim));
  }
  if (HasBlock(c, BlockType::kLocalAttention)) {
    GEMMA_RETURN_IF_ERROR(CheckSize("sliding_window", c.sliding_window));
  }
  return absl::OkStatus();
}

absl::Status CheckRecurrence(const ModelConfig& c) {
  const bool recurrent = HasBlock(c, BlockType::kRecurrent);
  if (!recurrent && c.lru_width == 0) return absl::OkStatus();
  GEMMA_RETURN_IF_ERROR(CheckSize("lru_width", c.lru_width));
  if (!recurrent) return absl::OkStatus();
  if (c.conv_width < 1 || c.conv_width > kMaxTaps) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "conv_width is %u, wanted 1 to %u", c.conv_width, kMaxTaps));
  }
  if (c.lru_width % c.num_heads != 0) {
    return absl::InvalidArgumentError(
        absl::StrFormat("lru_width is %u, wanted a multiple of num_heads %u",
                        c.lru_width, c.num_heads));
  }
  if (c.lru_width / c.num_heads > kMaxStrip) {
    return absl::InvalidArgumentError(
        absl::StrFormat("lru_width is %u, wanted at most %u times num_heads %u",
                        c.lru_width, kMaxStrip, c.num_heads));
  }
  return absl::OkStatus();
}

absl::Status CheckPooling(const ModelConfig& c) {
  const bool pools = c.pooling != Pooling::kNone;
  if (c.bidirectional && !pools) {
    return absl::InvalidArgumentError(
        "attention is bidirectional, wanted pooling too: no next token can be "
        "predicted from it");
  }
  if (pools && HasBlock(c, BlockType::kRecurrent)) {
    return absl::InvalidArgumentError(
        "the model pools and has recurrent blocks, wanted attention only");
  }
  if (c.dense_dims.size() > (pools ? kMaxDense : 0)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the model has %u dense layers, wanted at most %u behind pooling",
        c.dense_dims.size(), pools ? kMaxDense : 0));
  }
  for (const size_t dim : c.dense_dims) {
    GEMMA_RETURN_IF_ERROR(CheckSize("the width of a dense layer", dim));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Validate(const ModelConfig& config) {
  GEMMA_RETURN_IF_ERROR(CheckSizes(config));
  GEMMA_RETURN_IF_ERROR(CheckAttention(config));
  GEMMA_RETURN_IF_ERROR(CheckRecurrence(config));
  GEMMA_RETURN_IF_ERROR(CheckPooling(config));
  GEMMA_RETURN_IF_ERROR(
      CheckPositive("rope_base_local", config.rope_base_local));
  GEMMA_RETURN_IF_ERROR(
      CheckPositive("rope_base_global", config.rope_base_global));
  GEMMA_RETURN_IF_ERROR(
      CheckPositive("rope_factor_global", config.rope_factor_global));
  GEMMA_RETURN_IF_ERROR(
      CheckPositive("embedding_scale", config.embedding_scale));
  GEMMA_RETURN_IF_ERROR(CheckPositive("query_scale", config.query_scale));
  GEMMA_RETURN_IF_ERROR(CheckPositive("rms_norm_eps", config.rms_norm_eps));
  GEMMA_RETURN_IF_ERROR(
      CheckCap("attn_logits_soft_cap", config.attn_logits_soft_cap));
  GEMMA_RETURN_IF_ERROR(
      CheckCap("final_logits_soft_cap", config.final_logits_soft_cap));
  if (config.bos_token < 0 ||
      static_cast<size_t>(config.bos_token) >= config.vocab_size) {
    return absl::InvalidArgumentError(
        absl::StrFormat("bos_token is %d, wanted a token below vocab_size %u",
                        config.bos_token, config.vocab_size));
  }
  return absl::OkStatus();
}

std::vector<BlockType> PeriodicBlocks(size_t num_layers, size_t period) {
  std::vector<BlockType> blocks(num_layers);
  for (size_t l = 0; l < num_layers; ++l) {
    blocks[l] = (l + 1) % period == 0 ? BlockType::kGlobalAttention
                                      : BlockType::kLocalAttention;
  }
  return blocks;
}

absl::StatusOr<std::vector<BlockType>> RepeatedBlocks(
    const std::vector<std::string>& pattern, size_t num_layers,
    std::string_view where) {
  if (pattern.empty()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s is empty, wanted 'recurrent' and 'attention'", where));
  }
  for (const std::string& word : pattern) {
    if (word != "recurrent" && word != "attention") {
      return absl::InvalidArgumentError(absl::StrFormat(
          "%s holds '%s', wanted 'recurrent' or 'attention'", where, word));
    }
  }
  std::vector<BlockType> blocks(num_layers);
  for (size_t l = 0; l < num_layers; ++l) {
    blocks[l] = pattern[l % pattern.size()] == "recurrent"
                    ? BlockType::kRecurrent
                    : BlockType::kLocalAttention;
  }
  return blocks;
}

absl::StatusOr<ModelConfig> ReadConfig(const Checkpoint& checkpoint,
                                       RecurrentWindow window) {
  switch (checkpoint.kind) {
    case CheckpointKind::kGguf:
      return ConfigFromGguf(checkpoint, window);
    case CheckpointKind::kHuggingFace:
      return ConfigFromJson(checkpoint, window);
    case CheckpointKind::kSbs:
      return ConfigFromSbs(checkpoint, window);
  }
  return absl::InternalError("a checkpoint of no kind");
}

}  // namespace gemma
