#include "src/model/config/rope_from_gguf.h"

#include <string>
#include <string_view>

#include "src/base/format_text.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"

namespace gemma::internal {
namespace {

// Reads the factor of linear scaling. As in llama.cpp, a factor without a type
// is one, and 0 means none.
absl::Status ReadScaling(const KeyReader& keys, float& factor) {
  constexpr std::string_view kType = "rope.scaling.type";
  constexpr std::string_view kFactor = "rope.scaling.factor";
  std::string type = "linear";
  GEMMA_RETURN_IF_ERROR(keys.Read(kType, type));
  if (type != "linear" && type != "none") {
    return absl::InvalidArgumentError(
        FormatText("%s is %s, wanted 'none' or 'linear'", keys.Where(kType),
                   Quoted(type)));
  }
  float stated = 0.0f;
  if (keys.Has("rope.scale_linear") && !keys.Has(kFactor)) {
    GEMMA_RETURN_IF_ERROR(keys.Read("rope.scale_linear", stated));
  } else if (keys.Has(kType) && type == "linear") {
    GEMMA_RETURN_IF_ERROR(keys.ReadRequired(kFactor, stated));
  } else {
    GEMMA_RETURN_IF_ERROR(keys.Read(kFactor, stated));
  }
  if (type == "linear" && stated != 0.0f) factor = stated;
  return absl::OkStatus();
}

// Whether Ollama's own converter wrote this Gemma 3. Its files hold the vision
// tower too, and have other keys for RoPE.
bool IsOfOllama(const KeyReader& keys) {
  return keys.Has("rope.local.freq_base") ||
         keys.Has("rope.global.freq_base") || keys.Has("vision.block_count") ||
         keys.Has("mm.tokens_per_image");
}

// Replaces what Ollama's converter left out or got wrong in its first files, as
// Ollama does when it loads them. Their depth identifies them.
absl::Status CorrectOllama(const KeyReader& keys, size_t num_layers,
                           ConfigDraft& c) {
  if (!IsOfOllama(keys) || c.architecture != "gemma3" ||
      c.sliding_window == 0) {
    return absl::OkStatus();
  }
  const bool is_scaled =
      num_layers == 34 || num_layers == 48 || num_layers == 62;  // 4B, 12B, 27B
  if (is_scaled && !keys.Has("rope.scaling.factor") &&
      !keys.Has("rope.scale_linear")) {
    c.rope_factor_global = 8.0f;
    c.notes.push_back(FormatText(
        "%s: Ollama's file states no factor of RoPE: uses 8, as the published "
        "models of %u layers",
        keys.path(), num_layers));
  }
  if (num_layers == 26 && c.final_logits_soft_cap == 30.0f) {  // 1B
    c.final_logits_soft_cap = 0.0f;
    c.notes.push_back(FormatText(
        "%s: Ollama's file caps logits at 30: ignored, because the published "
        "model of 26 layers does not",
        keys.path()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadOneRope(const KeyReader& keys, ConfigDraft& c) {
  GEMMA_RETURN_IF_ERROR(keys.Read("rope.freq_base", c.rope_base_global));
  GEMMA_RETURN_IF_ERROR(ReadScaling(keys, c.rope_factor_global));
  c.rope_base_local = c.rope_base_global;
  c.rope_factor_local = c.rope_factor_global;
  return keys.Read("rope.freq_base_swa", c.rope_base_local);
}

absl::Status ReadTwoRopes(const KeyReader& keys, size_t num_layers,
                          ConfigDraft& c) {
  GEMMA_RETURN_IF_ERROR(keys.Read("rope.global.freq_base", c.rope_base_global));
  GEMMA_RETURN_IF_ERROR(keys.Read("rope.local.freq_base", c.rope_base_local));
  GEMMA_RETURN_IF_ERROR(keys.Read("rope.freq_base", c.rope_base_global));
  GEMMA_RETURN_IF_ERROR(keys.Read("rope.freq_base_swa", c.rope_base_local));
  GEMMA_RETURN_IF_ERROR(ReadScaling(keys, c.rope_factor_global));
  return CorrectOllama(keys, num_layers, c);
}

}  // namespace gemma::internal
