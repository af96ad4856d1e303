#include "src/model/config/gguf_keys.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "src/base/format_text.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/model/config/gemma3n.h"
#include "src/model/config/gemma4_from_gguf.h"
#include "src/model/tensors/tensor_names.h"

namespace gemma::internal {
namespace {

// A key whose other values would change results.
struct FixedKey {
  std::string_view key;
  float value;  // that changes nothing
  float also;   // likewise
  std::string_view wanted;
};

// Keys that llama.cpp defines for some architectures, none of them Gemma's.
constexpr FixedKey kFixed[] = {
    {"expert_count", 0, 0, "0"},
    {"expert_shared_count", 0, 0, "0"},
    {"logit_scale", 0, 1, "1"},
    {"residual_scale", 0, 1, "1"},
    {"attention.clamp_kqv", 0, 0, "0"},
    {"attention.max_alibi_bias", 0, 0, "0"},
    {"attention.shared_kv_layers", 0, 0, "0"},
    {"embedding_length_per_layer_input", 0, 0, "0"},
    {"nextn_predict_layers", 0, 0, "0"},
    {"rope.scaling.attn_factor", 0, 1, "1"},
};

// Keys that are read, or that describe the file to people.
constexpr std::string_view kKnown[] = {
    "attention.causal",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.key_length_swa",
    "attention.layer_norm_rms_epsilon",
    "attention.scale",
    "attention.sliding_window",
    "attention.sliding_window_pattern",
    "attention.value_length",
    "attention.value_length_swa",
    "attn_logit_softcapping",
    "block_count",
    "context_length",
    "embedding_length",
    "embedding_length_out",
    "expert_feed_forward_length",
    "expert_used_count",
    "feed_forward_length",
    "final_logit_softcapping",
    "pooling_type",
    "rope.dimension_count",
    "rope.dimension_count_swa",
    "rope.freq_base",
    "rope.freq_base_swa",
    "rope.global.freq_base",
    "rope.local.freq_base",
    "rope.scale_linear",
    "rope.scaling.factor",
    "rope.scaling.finetuned",
    "rope.scaling.original_context_length",
    "rope.scaling.type",
    "tensor_data_layout",
    "vocab_size",
    kEmbeddingScaleKey,
    kExactGeluKey,
    kPerLayerScaleKey,
    // Our own keys, which begin as those of the architecture "gemma" do.
    "bos_token",
    "extra_token_types",
    "extra_tokens",
    "header_crc32c",
    "prompts.default",
    "prompts.names",
    "prompts.words",
    "stop_tokens",
    "tensor_crc32c",
    "text_rules",
};

// The beginnings of groups of keys: our own, those of dense layers, and those
// of towers that are not text.
constexpr std::string_view kKnownGroups[] = {"recurrent.", "dense_", "vision.",
                                             "mm.", "audio."};

// Keys of kFixed that are read in Gemma 3n and 4.
constexpr std::string_view kReadKeys[] = {
    "attention.shared_kv_layers",
    "embedding_length_per_layer_input",
};

// Keys that only Gemma 3n has.
constexpr std::string_view kGemma3nKeys[] = {kCutoffKey, kActiveStreamKey,
                                             kStreamsKey};

template <size_t kSize>
bool Contains(const std::string_view (&keys)[kSize], std::string_view key) {
  return std::count(std::begin(keys), std::end(keys), key) != 0;
}

// Whether the architecture gives a key of kFixed a meaning.
bool IsRead(std::string_view key, std::string_view architecture) {
  const bool is_gemma4 = IsGemma4(architecture);
  if (key == "expert_count") return is_gemma4;
  return (is_gemma4 || architecture == kGemma3n) && Contains(kReadKeys, key);
}

bool IsKnown(std::string_view key, std::string_view architecture) {
  if (architecture == kGemma3n && Contains(kGemma3nKeys, key)) return true;
  const auto is_fixed = [&](const FixedKey& fixed) { return fixed.key == key; };
  const auto begins = [&](std::string_view group) {
    return absl::StartsWith(key, group);
  };
  return Contains(kKnown, key) ||
         std::any_of(std::begin(kFixed), std::end(kFixed), is_fixed) ||
         std::any_of(std::begin(kKnownGroups), std::end(kKnownGroups), begins);
}

absl::Status CheckFixed(const KeyReader& keys, const ConfigDraft& c) {
  for (const FixedKey& fixed : kFixed) {
    if (IsRead(fixed.key, c.architecture)) continue;
    float value = fixed.value;
    GEMMA_RETURN_IF_ERROR(keys.Read(fixed.key, value));
    if (value == fixed.value || value == fixed.also) continue;
    return absl::InvalidArgumentError(
        FormatText("%s is %g, wanted %s: this library does not compute it",
                   keys.Where(fixed.key), value, fixed.wanted));
  }
  return absl::OkStatus();
}

// Only a model that embeds texts sees later tokens, and pools.
absl::Status CheckDirections(const KeyReader& keys, const ConfigDraft& c) {
  bool causal = !c.bidirectional;
  GEMMA_RETURN_IF_ERROR(keys.Read("attention.causal", causal));
  if (causal == c.bidirectional) {
    return absl::InvalidArgumentError(
        FormatText("%s is %s, wanted %s in the architecture '%s'",
                   keys.Where("attention.causal"), causal ? "true" : "false",
                   causal ? "false" : "true", c.architecture));
  }
  size_t pooling = 0;
  GEMMA_RETURN_IF_ERROR(keys.Read("pooling_type", pooling));
  if (pooling == 0 || c.pooling != Pooling::kNone) return absl::OkStatus();
  return absl::InvalidArgumentError(FormatText(
      "%s is %u, wanted 0: models that embed texts are read if their "
      "architecture is 'gemma-embedding' or 'gemma-embedding2'",
      keys.Where("pooling_type"), pooling));
}

// Adds a note if the key caps something in other architectures than this.
absl::Status NoteCap(const KeyReader& keys, std::string_view key,
                     ConfigDraft& c) {
  float cap = 0.0f;
  GEMMA_RETURN_IF_ERROR(keys.Read(key, cap));
  if (cap == 0.0f) return absl::OkStatus();
  c.notes.push_back(
      FormatText("%s is %g, and has no effect in the architecture '%s'",
                 keys.Where(key), cap, c.architecture));
  return absl::OkStatus();
}

void NoteUnknown(const KeyReader& keys, ConfigDraft& c) {
  constexpr size_t kMaxTold = 3;
  const std::string prefix = keys.Name("");
  std::vector<std::string> unknown;
  for (std::string_view key : keys.metadata().Keys()) {
    if (!absl::StartsWith(key, prefix)) continue;
    if (IsKnown(key.substr(prefix.size()), c.architecture)) continue;
    unknown.push_back(Quoted(key));
  }
  if (unknown.empty()) return;
  const bool is_cut = unknown.size() > kMaxTold;
  if (is_cut) unknown.resize(kMaxTold);
  c.notes.push_back(FormatText(
      "%s: states %s%s, which this library does not read", keys.path(),
      absl::StrJoin(unknown, ", "), is_cut ? " and others" : ""));
}

}  // namespace

const Tensor* FindGgufTensor(const Checkpoint& checkpoint, WeightRole role,
                             size_t layer) {
  const auto found =
      checkpoint.tensors.find(TensorNames::Gguf().Name(role, layer));
  return found == checkpoint.tensors.end() ? nullptr : &found->second;
}

absl::Status ReadMeanPooling(const KeyReader& keys, ConfigDraft& c) {
  c.bidirectional = true;
  c.pooling = Pooling::kMean;
  if (c.sliding_window != 0) c.sliding_window = HalfWindow(c.sliding_window);
  size_t pooling = kGgufMeanPooling;
  GEMMA_RETURN_IF_ERROR(keys.Read("pooling_type", pooling));
  if (pooling != kGgufMeanPooling) {
    return absl::InvalidArgumentError(FormatText("%s is %u, wanted %u (mean)",
                                                 keys.Where("pooling_type"),
                                                 pooling, kGgufMeanPooling));
  }
  return absl::OkStatus();
}

absl::Status CheckOtherKeys(const KeyReader& keys, ConfigDraft& c) {
  GEMMA_RETURN_IF_ERROR(CheckFixed(keys, c));
  GEMMA_RETURN_IF_ERROR(CheckDirections(keys, c));
  if (c.architecture != "gemma2") {
    GEMMA_RETURN_IF_ERROR(NoteCap(keys, "attn_logit_softcapping", c));
  }
  if (c.architecture == "gemma" || c.pooling != Pooling::kNone) {
    GEMMA_RETURN_IF_ERROR(NoteCap(keys, "final_logit_softcapping", c));
  }
  NoteUnknown(keys, c);
  return absl::OkStatus();
}

}  // namespace gemma::internal
