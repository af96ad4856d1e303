#include "gemma/model_config.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "src/base/format_text.h"
#include "src/base/internal.h"
#include "src/base/no_throw.h"
#include "src/base/status_macros.h"
#include "src/model/config/read_config.h"

namespace gemma {
namespace {

absl::Status CheckSize(const char* name, size_t value) {
  if (value >= 1 && value <= kMaxSize) return absl::OkStatus();
  return absl::InvalidArgumentError(
      FormatText("%s is %u, wanted 1 to %u", name, value, kMaxSize));
}

absl::Status CheckPositive(const char* name, float value) {
  if (std::isfinite(value) && value > 0.0f) return absl::OkStatus();
  return absl::InvalidArgumentError(
      FormatText("%s is %g, wanted a positive number", name, value));
}

absl::Status CheckCap(const char* name, float value) {
  if (std::isfinite(value) && value >= 0.0f) return absl::OkStatus();
  return absl::InvalidArgumentError(FormatText(
      "%s is %g, wanted 0 (none) or a positive number", name, value));
}

bool HasBlock(const ModelConfig& c, BlockType type) {
  return std::any_of(c.layers.begin(), c.layers.end(),
                     [&](const LayerConfig& l) { return l.type == type; });
}

absl::Status CheckSizes(const ModelConfig& c) {
  GEMMA_RETURN_IF_ERROR(CheckSize("model_dim", c.model_dim));
  GEMMA_RETURN_IF_ERROR(CheckSize("vocab_size", c.vocab_size));
  GEMMA_RETURN_IF_ERROR(CheckSize("max_context", c.max_context));
  if (c.layers.empty() || c.layers.size() > kMaxLayers) {
    return absl::InvalidArgumentError(
        FormatText("the model has %u layers, wanted 1 to %u", c.layers.size(),
                   kMaxLayers));
  }
  return absl::OkStatus();
}

absl::Status CheckLayerSizes(const LayerConfig& layer) {
  GEMMA_RETURN_IF_ERROR(CheckSize("ffw_dim", layer.ffw_dim));
  GEMMA_RETURN_IF_ERROR(CheckSize("num_heads", layer.num_heads));
  GEMMA_RETURN_IF_ERROR(CheckSize("num_kv_heads", layer.num_kv_heads));
  GEMMA_RETURN_IF_ERROR(CheckSize("head_dim", layer.head_dim));
  GEMMA_RETURN_IF_ERROR(CheckSize("num_heads * head_dim", layer.q_dim()));
  if (layer.num_heads % layer.num_kv_heads != 0) {
    return absl::InvalidArgumentError(
        FormatText("num_heads is %u, wanted a multiple of num_kv_heads %u",
                   layer.num_heads, layer.num_kv_heads));
  }
  if (layer.type != BlockType::kLocalAttention) return absl::OkStatus();
  return CheckSize("sliding_window", layer.sliding_window);
}

absl::Status CheckCutoff(const ModelConfig& c, const LayerConfig& layer) {
  if (!layer.gate_cutoff.has_value()) return absl::OkStatus();
  if (std::isfinite(*layer.gate_cutoff) && !c.biases) return absl::OkStatus();
  return absl::InvalidArgumentError(FormatText(
      "gate_cutoff is %g, wanted a finite number, and a model without biases",
      *layer.gate_cutoff));
}

absl::Status CheckRope(const RopeConfig& rope, size_t head_dim) {
  if (rope.rotary_dim > head_dim || rope.rotary_dim % 2 != 0) {
    return absl::InvalidArgumentError(FormatText(
        "rope.rotary_dim is %u, wanted an even number up to head_dim %u",
        rope.rotary_dim, head_dim));
  }
  if (rope.num_rotating > rope.rotary_dim / 2) {
    return absl::InvalidArgumentError(FormatText(
        "rope.num_rotating is %u, wanted at most the %u pairs of rotary_dim %u",
        rope.num_rotating, rope.rotary_dim / 2, rope.rotary_dim));
  }
  GEMMA_RETURN_IF_ERROR(CheckPositive("rope.base", rope.base));
  return CheckPositive("rope.factor", rope.factor);
}

absl::Status CheckExperts(const LayerConfig& layer) {
  if (layer.num_experts == 0) {
    if (layer.experts_used == 0 && layer.expert_dim == 0) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(FormatText(
        "num_experts is 0, experts_used %u and expert_dim %u, wanted all 0 or "
        "none",
        layer.experts_used, layer.expert_dim));
  }
  if (layer.num_experts > kMaxExperts) {
    return absl::InvalidArgumentError(
        FormatText("num_experts is %u, wanted at most %u", layer.num_experts,
                   kMaxExperts));
  }
  if (layer.experts_used < 1 || layer.experts_used > layer.num_experts) {
    return absl::InvalidArgumentError(
        FormatText("experts_used is %u, wanted 1 to num_experts %u",
                   layer.experts_used, layer.num_experts));
  }
  return CheckSize("expert_dim", layer.expert_dim);
}

// Checks the layer whose keys and values layer `index` reads.
absl::Status CheckSource(const ModelConfig& c, size_t index) {
  const LayerConfig& layer = c.layers[index];
  if (layer.has_own_kv()) return absl::OkStatus();
  const size_t source = *layer.kv_source;
  if (layer.type == BlockType::kRecurrent || c.bidirectional ||
      source >= index) {
    return absl::InvalidArgumentError(FormatText(
        "kv_source is %u, wanted an earlier layer, and causal attention",
        source));
  }
  const LayerConfig& from = c.layers[source];
  if (from.has_own_kv() && from.type == layer.type &&
      from.num_kv_heads == layer.num_kv_heads &&
      from.head_dim == layer.head_dim && from.rope == layer.rope &&
      from.sliding_window == layer.sliding_window) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(FormatText(
      "kv_source is %u, wanted a layer that has its own keys and values, of "
      "the same type, heads, window and rope",
      source));
}

absl::Status CheckRecurrence(const ModelConfig& c, const LayerConfig& layer) {
  if (layer.type != BlockType::kRecurrent) return absl::OkStatus();
  if (c.lru_width % layer.num_heads != 0) {
    return absl::InvalidArgumentError(
        FormatText("lru_width is %u, wanted a multiple of num_heads %u",
                   c.lru_width, layer.num_heads));
  }
  if (c.lru_width / layer.num_heads > kMaxStrip) {
    return absl::InvalidArgumentError(
        FormatText("lru_width is %u, wanted at most %u times num_heads %u",
                   c.lru_width, kMaxStrip, layer.num_heads));
  }
  return absl::OkStatus();
}

absl::Status CheckLayer(const ModelConfig& c, size_t index) {
  const LayerConfig& layer = c.layers[index];
  GEMMA_RETURN_IF_ERROR(CheckLayerSizes(layer));
  GEMMA_RETURN_IF_ERROR(CheckCutoff(c, layer));
  GEMMA_RETURN_IF_ERROR(CheckRope(layer.rope, layer.head_dim));
  GEMMA_RETURN_IF_ERROR(CheckExperts(layer));
  GEMMA_RETURN_IF_ERROR(CheckSource(c, index));
  return CheckRecurrence(c, layer);
}

absl::Status CheckEachLayer(const ModelConfig& c) {
  for (size_t i = 0; i < c.num_layers(); ++i) {
    if (const absl::Status status = CheckLayer(c, i); !status.ok()) {
      return absl::InvalidArgumentError(
          FormatText("layer %u: %s", i, status.message()));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckLru(const ModelConfig& c) {
  const bool recurrent = HasBlock(c, BlockType::kRecurrent);
  if (!recurrent && c.lru_width == 0) return absl::OkStatus();
  GEMMA_RETURN_IF_ERROR(CheckSize("lru_width", c.lru_width));
  if (!recurrent || (c.conv_width >= 1 && c.conv_width <= kMaxTaps)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      FormatText("conv_width is %u, wanted 1 to %u", c.conv_width, kMaxTaps));
}

absl::Status CheckPerLayer(const ModelConfig& c) {
  if (c.per_layer_dim == 0) {
    if (c.per_layer_vocab == 0) return absl::OkStatus();
    return absl::InvalidArgumentError(
        FormatText("per_layer_vocab is %u and per_layer_dim 0, wanted both or "
                   "neither",
                   c.per_layer_vocab));
  }
  GEMMA_RETURN_IF_ERROR(CheckSize("per_layer_dim", c.per_layer_dim));
  GEMMA_RETURN_IF_ERROR(CheckSize("per_layer_dim times the number of layers",
                                  c.per_layer_dim * c.num_layers()));
  if (c.per_layer_vocab == 0) return absl::OkStatus();
  GEMMA_RETURN_IF_ERROR(CheckSize("per_layer_vocab", c.per_layer_vocab));
  return CheckPositive("per_layer_scale", c.per_layer_scale);
}

// AltUp and LAuReL come together, with the blocks that Gemma 3n has.
absl::Status CheckStreams(const ModelConfig& c) {
  if (c.altup_streams == 0) {
    if (c.laurel_rank == 0) return absl::OkStatus();
    return absl::InvalidArgumentError(
        FormatText("laurel_rank is %u and altup_streams 0, wanted both or "
                   "neither",
                   c.laurel_rank));
  }
  if (c.altup_streams < 2 || c.altup_streams > kMaxStreams) {
    return absl::InvalidArgumentError(
        FormatText("altup_streams is %u, wanted 0 (none) or 2 to %u",
                   c.altup_streams, kMaxStreams));
  }
  GEMMA_RETURN_IF_ERROR(CheckSize("laurel_rank", c.laurel_rank));
  const bool fits = c.per_layer_dim != 0 && c.post_norms && !c.layer_scales &&
                    !c.biases && c.pooling == Pooling::kNone;
  const bool plain =
      std::all_of(c.layers.begin(), c.layers.end(), [](const LayerConfig& l) {
        return l.type != BlockType::kRecurrent && l.num_experts == 0;
      });
  if (fits && plain) return absl::OkStatus();
  return absl::InvalidArgumentError(FormatText(
      "altup_streams is %u, wanted a model with per-layer embeddings and "
      "post_norms, without layer_scales, biases, experts, recurrence and "
      "pooling",
      c.altup_streams));
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
    return absl::InvalidArgumentError(FormatText(
        "the model has %u dense layers, wanted at most %u after pooling",
        c.dense_dims.size(), pools ? kMaxDense : 0));
  }
  for (const size_t dim : c.dense_dims) {
    GEMMA_RETURN_IF_ERROR(CheckSize("the width of a dense layer", dim));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Validate(const ModelConfig& config) {
  return NoThrow([&]() -> absl::Status {
    GEMMA_RETURN_IF_ERROR(CheckSizes(config));
    GEMMA_RETURN_IF_ERROR(CheckLru(config));
    GEMMA_RETURN_IF_ERROR(CheckEachLayer(config));
    GEMMA_RETURN_IF_ERROR(CheckPerLayer(config));
    GEMMA_RETURN_IF_ERROR(CheckPooling(config));
    GEMMA_RETURN_IF_ERROR(CheckStreams(config));
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
          FormatText("bos_token is %d, wanted a token below vocab_size %u",
                     config.bos_token, config.vocab_size));
    }
    return absl::OkStatus();
  });
}

absl::Status CheckTokens(absl::Span<const TokenId> tokens,
                         const ModelConfig& config, std::string_view what,
                         size_t first) {
  return NoThrow([&]() -> absl::Status {
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (config.has_token(tokens[i])) continue;
      return absl::InvalidArgumentError(
          FormatText("token %u of %s is %d, wanted 0 to %u", first + i, what,
                     tokens[i], config.vocab_size - 1));
    }
    return absl::OkStatus();
  });
}

}  // namespace gemma
