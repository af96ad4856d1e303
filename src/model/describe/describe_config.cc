// Metadata of a GGUF file from a ModelConfig.

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/status_macros.h"
#include "src/model/config/gemma3n.h"
#include "src/model/config/gemma4_from_gguf.h"
#include "src/model/config/read_config.h"
#include "src/model/config/shared_layers.h"
#include "src/model/describe/describe.h"

namespace gemma::internal {
namespace {

// Sets "<architecture>.<key>".
class KeyWriter {
 public:
  KeyWriter(std::string architecture, GgufFileWriter& out)
      : architecture_(std::move(architecture)), out_(out) {}

  // The sizes of a valid configuration fit into 32 bits.
  void Set(std::string_view key, size_t size) {
    out_.SetUint32(Name(key), static_cast<uint32_t>(size));
  }
  void Set(std::string_view key, float value) {
    out_.SetFloat32(Name(key), value);
  }
  void Set(std::string_view key, std::string_view text) {
    out_.SetString(Name(key), text);
  }
  void SetBool(std::string_view key, bool value) {
    out_.SetBool(Name(key), value);
  }
  // Sets one number if all layers have the same size, otherwise an array with
  // one number for each layer.
  void Set(std::string_view key, const ModelConfig& c,
           size_t LayerConfig::*member) {
    std::vector<uint32_t> sizes;
    for (const LayerConfig& layer : c.layers) {
      sizes.push_back(static_cast<uint32_t>(layer.*member));
    }
    if (std::count(sizes.begin(), sizes.end(), sizes[0]) ==
        static_cast<ptrdiff_t>(sizes.size())) {
      return Set(key, size_t{sizes[0]});
    }
    out_.SetUint32s(Name(key), sizes);
  }
  void Set(std::string_view key, const std::vector<bool>& values) {
    out_.SetBools(Name(key), values);
  }
  void Set(std::string_view key, const std::vector<float>& values) {
    out_.SetFloat32s(Name(key), values);
  }
  void Set(std::string_view key, const std::vector<std::string_view>& values) {
    out_.SetStrings(Name(key), values);
  }

 private:
  std::string Name(std::string_view key) const {
    return GgufKey(architecture_, key);
  }

  std::string architecture_;
  GgufFileWriter& out_;
};

// Returns the first layer of the type, or null.
const LayerConfig* FirstOf(const ModelConfig& c, BlockType type) {
  const auto found =
      std::find_if(c.layers.begin(), c.layers.end(),
                   [&](const LayerConfig& l) { return l.type == type; });
  return found != c.layers.end() ? &*found : nullptr;
}

// Whether the tensor of factors in Gemma 4's files can state the layer's RoPE:
// some pairs of a whole head rotate, or none.
bool HasRopeFactors(const ModelConfig& c, const LayerConfig& layer) {
  return c.architecture == "gemma4" &&
         layer.type == BlockType::kGlobalAttention &&
         (layer.rope.rotary_dim == 0 ||
          layer.rope.rotary_dim == layer.head_dim);
}

// The number of layers that read the keys and values of others.
size_t NumShared(const ModelConfig& c) {
  return std::count_if(c.layers.begin(), c.layers.end(),
                       [](const LayerConfig& l) { return !l.has_own_kv(); });
}

// Returns the layers as readers share keys among the last `num_shared`, or no
// layers if they cannot.
std::vector<LayerConfig> Shared(const ModelConfig& c, size_t num_shared) {
  std::vector<LayerConfig> layers = c.layers;
  for (LayerConfig& layer : layers) layer.kv_source.reset();
  if (!ShareKeys(num_shared, "", layers).ok()) layers.clear();
  return layers;
}

// Checks that GGUF's keys can describe the layers: except for sizes stored in
// arrays, one key holds the value for all layers of a type. Whether values are
// keys follows from the tensors.
absl::Status CheckLayers(const ModelConfig& c) {
  const std::vector<LayerConfig> shared = Shared(c, NumShared(c));
  for (size_t i = 0; i < c.num_layers(); ++i) {
    LayerConfig said = *FirstOf(c, c.layers[i].type);
    said.ffw_dim = c.layers[i].ffw_dim;
    said.gate_cutoff = c.layers[i].gate_cutoff;
    said.num_heads = c.layers[i].num_heads;
    said.num_kv_heads = c.layers[i].num_kv_heads;
    said.k_eq_v = c.layers[i].k_eq_v;
    said.num_experts = c.layers[0].num_experts;
    said.experts_used = c.layers[0].experts_used;
    said.expert_dim = c.layers[0].expert_dim;
    said.kv_source.reset();
    if (!shared.empty()) said.kv_source = shared[i].kv_source;
    if (!HasRopeFactors(c, said)) said.rope.num_rotating = 0;
    // Gemma 3 scales only global layers, the others all layers.
    if (said.type == BlockType::kLocalAttention) {
      said.rope.factor = c.qk_norm ? 1.0f : GgufMainLayer(c).rope.factor;
    }
    if (said == c.layers[i]) continue;
    return absl::UnimplementedError(FormatText(
        "layer %u has its own heads, window, RoPE, experts or source of keys, "
        "which GGUF keys cannot express",
        i));
  }
  return absl::OkStatus();
}

void DescribeSizes(const ModelConfig& c, KeyWriter& keys) {
  const LayerConfig& main = GgufMainLayer(c);
  keys.Set("context_length", c.max_context);
  keys.Set("embedding_length", c.model_dim);
  keys.Set("block_count", c.num_layers());
  keys.Set("feed_forward_length", c, &LayerConfig::ffw_dim);
  keys.Set("vocab_size", c.vocab_size);
  keys.Set("attention.head_count", c, &LayerConfig::num_heads);
  keys.Set("attention.head_count_kv", c, &LayerConfig::num_kv_heads);
  keys.Set("attention.key_length", main.head_dim);
  keys.Set("attention.value_length", main.head_dim);
  keys.Set("attention.layer_norm_rms_epsilon", c.rms_norm_eps);
}

void DescribeRope(const ModelConfig& c, KeyWriter& keys) {
  const LayerConfig& main = GgufMainLayer(c);
  const RopeConfig& rope = main.rope;
  keys.Set("rope.dimension_count",
           HasRopeFactors(c, main) ? main.head_dim : rope.rotary_dim);
  keys.Set("rope.freq_base", rope.base);
  if (rope.factor != 1.0f) {
    keys.Set("rope.scaling.type", std::string_view("linear"));
    keys.Set("rope.scaling.factor", rope.factor);
  }
}

// Sets the pattern of local and global blocks: a period if there is one,
// otherwise a list.
// `list`: always a list, which readers of Gemma 3n and 4 expect.
void DescribePattern(const std::vector<BlockType>& blocks, bool list,
                     KeyWriter& keys) {
  constexpr std::string_view kKey = "attention.sliding_window_pattern";
  for (size_t period = 1; !list && period <= blocks.size() + 1; ++period) {
    if (blocks != PeriodicBlocks(blocks.size(), period)) continue;
    keys.Set(kKey, period);
    return;
  }
  std::vector<bool> local;
  for (const BlockType type : blocks) {
    local.push_back(type == BlockType::kLocalAttention);
  }
  keys.Set(kKey, local);
}

// Sets the window and the other keys of local layers.
void DescribeLocal(const ModelConfig& c, KeyWriter& keys) {
  const LayerConfig* local = FirstOf(c, BlockType::kLocalAttention);
  const size_t window = local != nullptr ? local->sliding_window : 0;
  const bool whole = c.bidirectional && local != nullptr;
  keys.Set("attention.sliding_window", whole ? WholeWindow(window) : window);
  if (local != nullptr) keys.Set("rope.freq_base_swa", local->rope.base);
  const bool is_gemma4 = IsGemma4(c.architecture);
  DescribePattern(BlocksOf(c), is_gemma4 || c.architecture == kGemma3n, keys);
  if (local == nullptr) return;
  const LayerConfig& main = GgufMainLayer(c);
  if (!is_gemma4 && local->head_dim == main.head_dim &&
      local->rope.rotary_dim == main.rope.rotary_dim) {
    return;
  }
  keys.Set(kLocalKeyLength, local->head_dim);
  keys.Set(kLocalValueLength, local->head_dim);
  keys.Set(kLocalRotaryDim, local->rope.rotary_dim);
}

void DescribeSoftCaps(const ModelConfig& c, bool always, KeyWriter& keys) {
  if (always || c.attn_logits_soft_cap != 0.0f) {
    keys.Set("attn_logit_softcapping", c.attn_logits_soft_cap);
  }
  if (always || c.final_logits_soft_cap != 0.0f) {
    keys.Set("final_logit_softcapping", c.final_logits_soft_cap);
  }
}

void DescribePooling(const ModelConfig& c, KeyWriter& keys) {
  keys.Set("pooling_type", kGgufMeanPooling);
  size_t width = c.model_dim;
  for (size_t i = 0; i < c.dense_dims.size(); ++i) {
    keys.Set(GgufDenseKey(i, "in"), width);
    width = c.dense_dims[i];
    keys.Set(GgufDenseKey(i, "out"), width);
  }
}

// Sets the keys that only Gemma 4 and EmbeddingGemma 2 have. The former's are
// also set to the values that change nothing, because readers require some, and
// assume others for files without them.
void DescribeGemma4(const ModelConfig& c, KeyWriter& keys) {
  keys.Set("embedding_length_per_layer_input", c.per_layer_dim);
  keys.Set("attention.shared_kv_layers", NumShared(c));
  const LayerConfig& layer = c.layers[0];
  if (layer.num_experts != 0) {
    keys.Set("expert_count", layer.num_experts);
    keys.Set("expert_used_count", layer.experts_used);
    keys.Set("expert_feed_forward_length", layer.expert_dim);
  }
  if (c.pooling == Pooling::kNone) {
    keys.Set("final_logit_softcapping", c.final_logits_soft_cap);
    return;
  }
  keys.Set("pooling_type", kGgufMeanPooling);
  keys.Set("embedding_length_out", c.embedding_dim());
  keys.SetBool("attention.causal", false);
}

// Sets the keys that Gemma 3n has besides those of Gemma 3.
void DescribeGemma3n(const ModelConfig& c, KeyWriter& keys) {
  keys.Set("embedding_length_per_layer_input", c.per_layer_dim);
  keys.Set("attention.shared_kv_layers", NumShared(c));
  keys.Set("final_logit_softcapping", c.final_logits_soft_cap);
  keys.Set(kStreamsKey, c.altup_streams);
  keys.Set(kActiveStreamKey, size_t{0});
  std::vector<float> cutoffs;
  for (const LayerConfig& layer : c.layers) {
    cutoffs.push_back(
        layer.gate_cutoff.value_or(-std::numeric_limits<float>::infinity()));
  }
  keys.Set(kCutoffKey, cutoffs);
}

// Returns the shortest sequence that the blocks repeat.
std::vector<std::string_view> RepeatedWords(
    const std::vector<BlockType>& blocks) {
  size_t period = 1;
  while (!std::equal(blocks.begin() + static_cast<ptrdiff_t>(period),
                     blocks.end(), blocks.begin())) {
    ++period;
  }
  std::vector<std::string_view> words;
  for (size_t i = 0; i < period; ++i) {
    words.push_back(blocks[i] == BlockType::kRecurrent ? "recurrent"
                                                       : "attention");
  }
  return words;
}

void DescribeRecurrence(const ModelConfig& c, KeyWriter& keys) {
  const LayerConfig* local = FirstOf(c, BlockType::kLocalAttention);
  if (local != nullptr) {
    keys.Set("attention.sliding_window", local->sliding_window);
  }
  keys.Set("final_logit_softcapping", c.final_logits_soft_cap);
  keys.Set("recurrent.lru_width", c.lru_width);
  keys.Set("recurrent.conv_width", c.conv_width);
  keys.Set("recurrent.block_types", RepeatedWords(BlocksOf(c)));
}

}  // namespace

absl::Status DescribeConfig(const ModelConfig& config, GgufFileWriter& out) {
  if (config.architecture == "vaultgemma") {
    return absl::UnimplementedError(
        "the architecture is 'vaultgemma', for which GGUF has no keys, wanted "
        "a model that GGUF files can hold");
  }
  GEMMA_RETURN_IF_ERROR(CheckLayers(config));
  out.SetString("general.architecture", config.architecture);
  out.SetString("general.type", "model");
  KeyWriter keys(config.architecture, out);
  DescribeSizes(config, keys);
  DescribeRope(config, keys);
  if (config.lru_width != 0) {
    DescribeRecurrence(config, keys);
  } else if (config.post_norms) {
    DescribeLocal(config, keys);
    if (IsGemma4(config.architecture)) {
      DescribeGemma4(config, keys);
    } else if (config.architecture == kGemma3n) {
      DescribeGemma3n(config, keys);
    } else if (config.pooling != Pooling::kNone) {
      DescribePooling(config, keys);
    } else {
      // Always state them for Gemma 2: readers assume defaults for a file
      // without these keys.
      DescribeSoftCaps(config, /*always=*/!config.qk_norm, keys);
    }
  }
  if (config.query_scale != GgufQueryScale(config)) {
    keys.Set("attention.scale", config.query_scale);
  }
  if (config.exact_gelu) keys.SetBool(kExactGeluKey, true);
  return absl::OkStatus();
}

}  // namespace gemma::internal
