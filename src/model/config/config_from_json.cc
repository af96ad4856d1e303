// ModelConfig from Hugging Face's config.json, in its old and new forms. If a
// file lacks a key, the default of the published configuration class applies.

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gemma/error_reason.h"
#include "src/base/format_text.h"
#include "src/base/json.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/model/config/gemma3n.h"
#include "src/model/config/gemma4_from_json.h"
#include "src/model/config/json_fields.h"
#include "src/model/config/read_config.h"
#include "src/model/config/rope_from_json.h"
#include "src/model/config/supported_json.h"

namespace gemma::internal {
namespace {

absl::Status ReadQueryScale(const Json& json, ConfigDraft& c) {
  float scalar = 256.0f;
  GEMMA_RETURN_IF_ERROR(json.Read("query_pre_attn_scalar", scalar));
  // Early files of Gemma 2 9B say 224; Google corrected it to 256.
  if (scalar == 224.0f && c.model_dim == 3584) scalar = 256.0f;
  if (!(scalar > 0.0f)) {
    return absl::InvalidArgumentError(
        FormatText("%s: query_pre_attn_scalar is %g, wanted a positive number",
                   json.Where(), scalar));
  }
  c.query_scale = 1.0f / std::sqrt(scalar);
  return absl::OkStatus();
}

absl::Status ReadGemma(const Json& json, ConfigDraft& c) {
  c.architecture = "gemma";
  c.vocab_size = 256000;
  c.model_dim = 3072;
  c.all.ffw_dim = 24576;
  c.all.num_heads = 16;
  c.all.num_kv_heads = 16;
  c.all.head_dim = 256;
  c.max_context = 8192;
  size_t num_layers = 28;
  GEMMA_RETURN_IF_ERROR(ReadSizesAndHeads(json, "hidden_act", num_layers, c));
  GEMMA_RETURN_IF_ERROR(ReadOneRope(json, c));
  GEMMA_RETURN_IF_ERROR(NoteIgnored(json, "attn_logit_softcapping", c));
  GEMMA_RETURN_IF_ERROR(NoteIgnored(json, "final_logit_softcapping", c));
  c.all.rope.rotary_dim = c.all.head_dim;
  c.query_scale = InverseRoot(c.all.head_dim);
  c.blocks.assign(num_layers, BlockType::kGlobalAttention);
  return absl::OkStatus();
}

absl::Status ReadGemma2(const Json& json, ConfigDraft& c) {
  c.architecture = "gemma2";
  c.post_norms = true;
  c.vocab_size = 256000;
  c.model_dim = 2304;
  c.all.ffw_dim = 9216;
  c.all.num_heads = 8;
  c.all.num_kv_heads = 4;
  c.all.head_dim = 256;
  c.max_context = 8192;
  c.sliding_window = 4096;
  c.attn_logits_soft_cap = 50.0f;
  c.final_logits_soft_cap = 30.0f;
  size_t num_layers = 26;
  GEMMA_RETURN_IF_ERROR(
      ReadSizesAndHeads(json, "hidden_activation", num_layers, c));
  GEMMA_RETURN_IF_ERROR(ReadWindow(json, c));
  GEMMA_RETURN_IF_ERROR(ReadOneRope(json, c));
  c.all.rope.rotary_dim = c.all.head_dim;
  GEMMA_RETURN_IF_ERROR(ReadSoftCaps(json, c));
  GEMMA_RETURN_IF_ERROR(ReadQueryScale(json, c));
  // If the file does not list them, even layers are local, odd layers global.
  return ReadLayerTypes(json, num_layers, /*period=*/2, c);
}

// VaultGemma is a Gemma 2 without the norms after its sub-blocks.
absl::Status ReadVaultGemma(const Json& json, ConfigDraft& c) {
  GEMMA_RETURN_IF_ERROR(ReadGemma2(json, c));
  c.architecture = "vaultgemma";
  c.post_norms = false;
  return absl::OkStatus();
}

// EmbeddingGemma is a Gemma 3 with bidirectional attention.
absl::Status ReadDirections(const Json& json, ConfigDraft& c) {
  GEMMA_RETURN_IF_ERROR(
      json.Read("use_bidirectional_attention", c.bidirectional));
  if (!c.bidirectional) return absl::OkStatus();
  c.architecture = "gemma-embedding";
  if (c.sliding_window != 0) c.sliding_window = HalfWindow(c.sliding_window);
  c.pooling = Pooling::kMean;
  return absl::OkStatus();
}

absl::Status ReadGemma3(const Json& json, ConfigDraft& c) {
  c.architecture = "gemma3";
  c.post_norms = true;
  c.qk_norm = true;
  c.vocab_size = 262208;
  c.model_dim = 2304;
  c.all.ffw_dim = 9216;
  c.all.num_heads = 8;
  c.all.num_kv_heads = 4;
  c.all.head_dim = 256;
  c.max_context = 131072;
  c.sliding_window = 4096;
  c.rope_base_local = 10000.0f;
  c.rope_base_global = 1000000.0f;
  size_t num_layers = 26;
  GEMMA_RETURN_IF_ERROR(
      ReadSizesAndHeads(json, "hidden_activation", num_layers, c));
  GEMMA_RETURN_IF_ERROR(ReadWindow(json, c));
  GEMMA_RETURN_IF_ERROR(ReadDirections(json, c));
  GEMMA_RETURN_IF_ERROR(ReadTwoRopes(json, c));
  c.all.rope.rotary_dim = c.all.head_dim;
  GEMMA_RETURN_IF_ERROR(ReadFinalSoftCap(json, c));
  GEMMA_RETURN_IF_ERROR(ReadQueryScale(json, c));
  size_t period = 6;
  GEMMA_RETURN_IF_ERROR(ReadPeriod(json, "_sliding_window_pattern", period));
  GEMMA_RETURN_IF_ERROR(ReadPeriod(json, "sliding_window_pattern", period));
  return ReadLayerTypes(json, num_layers, period, c);
}

absl::Status ReadRecurrentGemma(const Json& json, RecurrentWindow window,
                                ConfigDraft& c) {
  c.architecture = "recurrentgemma";
  c.biases = true;
  c.vocab_size = 256000;
  c.model_dim = 2560;
  c.all.num_heads = 10;
  c.all.num_kv_heads = 0;  // if missing: num_heads
  c.max_context = 8192;
  c.conv_width = 4;
  c.sliding_window = 2048;
  c.final_logits_soft_cap = 30.0f;
  size_t intermediate_size = 7680;
  c.all.ffw_dim = intermediate_size;
  size_t num_layers = 26;
  GEMMA_RETURN_IF_ERROR(ReadSizes(json, num_layers, c));
  // The key is the sum of the widths of gate_proj and up_proj.
  if (c.all.ffw_dim % 2 != 0) {
    return json.Find("intermediate_size")->Unexpected("an even number");
  }
  c.all.ffw_dim /= 2;
  if (c.all.num_kv_heads == 0) c.all.num_kv_heads = c.all.num_heads;
  if (c.all.num_heads == 0 || c.model_dim % c.all.num_heads != 0 ||
      c.model_dim > kMaxSize) {
    return absl::InvalidArgumentError(FormatText(
        "%s: hidden_size is %u, wanted a multiple of num_attention_heads %u up "
        "to %u",
        json.Where(), c.model_dim, c.all.num_heads, kMaxSize));
  }
  c.all.head_dim =
      c.model_dim / c.all.num_heads;  // the key head_dim is ignored
  c.lru_width = c.model_dim;
  GEMMA_RETURN_IF_ERROR(json.Read("lru_width", c.lru_width));
  GEMMA_RETURN_IF_ERROR(json.Read("conv1d_width", c.conv_width));
  GEMMA_RETURN_IF_ERROR(json.Read("attention_window_size", c.sliding_window));
  c.sliding_window = RecurrentKeys(c.sliding_window, window);
  GEMMA_RETURN_IF_ERROR(json.Read("logits_soft_cap", c.final_logits_soft_cap));
  GEMMA_RETURN_IF_ERROR(ReadActivation(json, "hidden_activation", c));
  GEMMA_RETURN_IF_ERROR(ReadPartialRope(json, c));
  c.query_scale = InverseRoot(c.all.head_dim);
  std::vector<std::string> pattern = {"recurrent", "recurrent", "attention"};
  GEMMA_RETURN_IF_ERROR(json.Read("_block_types", pattern));
  GEMMA_RETURN_IF_ERROR(json.Read("block_types", pattern));
  GEMMA_ASSIGN_OR_RETURN(
      c.blocks, RepeatedBlocks(pattern, num_layers,
                               absl::StrCat(json.Where(), ": block_types")));
  return absl::OkStatus();
}

// Reads the token ids in config.json or generation_config.json.
absl::Status ReadTokens(const Json& json, ConfigDraft& c) {
  GEMMA_RETURN_IF_ERROR(json.Read("bos_token_id", c.bos_token));
  const auto eos = json.Find("eos_token_id");
  if (!eos.has_value() || eos->is_null()) return absl::OkStatus();
  std::vector<TokenId> tokens;
  if (eos->is_array()) {
    GEMMA_RETURN_IF_ERROR(eos->Get(tokens));
  } else {
    GEMMA_RETURN_IF_ERROR(eos->Get(tokens.emplace_back()));
  }
  c.stop_tokens.insert(c.stop_tokens.end(), tokens.begin(), tokens.end());
  return absl::OkStatus();
}

// Only RecurrentGemma uses `window`.
using ReadFamily = absl::Status (*)(const Json& json, RecurrentWindow window,
                                    ConfigDraft& c);

template <absl::Status (*kRead)(const Json&, ConfigDraft&)>
absl::Status WithoutWindow(const Json& json, RecurrentWindow /*window*/,
                           ConfigDraft& c) {
  return kRead(json, c);
}

// Conventions of a family that stores norm weights minus one.
constexpr Conventions MinusOne(Naming naming) {
  return {.naming = naming, .norms_minus_one = true};
}

struct Family {
  std::string_view model_type;
  ReadFamily read;
  Conventions conventions;
  bool is_outer = false;  // "text_config" holds the keys of the text tower
};
constexpr Conventions kAsGemma4 = {.naming = Naming::kHf};
constexpr Conventions kAsEmbedding2 = {.naming = Naming::kHfEmbedding2};
constexpr Family kFamilies[] = {
    {"gemma", WithoutWindow<ReadGemma>, MinusOne(Naming::kHfGemma1)},
    {"gemma2", WithoutWindow<ReadGemma2>, MinusOne(Naming::kHf)},
    {"gemma3", WithoutWindow<ReadGemma3>, MinusOne(Naming::kHf), true},
    {"gemma3_text", WithoutWindow<ReadGemma3>, MinusOne(Naming::kHf)},
    {"gemma3n", WithoutWindow<ReadGemma3n>, kAsGemma4, true},
    {"gemma3n_text", WithoutWindow<ReadGemma3n>, kAsGemma4},
    {"gemma4", WithoutWindow<ReadGemma4>, kAsGemma4, true},
    {"gemma4_text", WithoutWindow<ReadGemma4>, kAsGemma4},
    {"gemma4_unified", WithoutWindow<ReadGemma4Unified>, kAsGemma4, true},
    {"gemma4_unified_text", WithoutWindow<ReadGemma4Unified>, kAsGemma4},
    {"vaultgemma", WithoutWindow<ReadVaultGemma>, MinusOne(Naming::kHf)},
    {"embedding_gemma2", WithoutWindow<ReadEmbeddingGemma2>, kAsEmbedding2,
     true},
    {"embedding_gemma2_text", WithoutWindow<ReadEmbeddingGemma2>,
     kAsEmbedding2},
    {"recurrent_gemma", ReadRecurrentGemma, MinusOne(Naming::kHfRecurrent)},
};

// Returns the error for a model_type that is not in the table.
absl::Status OtherFamily(const Json& model_type) {
  std::string name;
  GEMMA_RETURN_IF_ERROR(model_type.Get(name));
  constexpr std::string_view kWanted =
      "'gemma', 'gemma2', 'gemma3', 'gemma3_text', 'gemma3n', 'gemma3n_text', "
      "'gemma4', 'gemma4_text', 'gemma4_unified', 'gemma4_unified_text', "
      "'vaultgemma', "
      "'embedding_gemma2', 'embedding_gemma2_text' or 'recurrent_gemma'";
  if (!IsOfFamily(name)) {
    return WithReason(model_type.Unexpected("a Gemma model"),
                      ErrorReason::kOtherArchitecture);
  }
  return WithReason(absl::InvalidArgumentError(absl::StrCat(
                        model_type.Where(), " is ", Quoted(name),
                        ": this Gemma is not read yet, wanted ", kWanted)),
                    ErrorReason::kUnreadGemma);
}

// Returns the family of that name, or null.
const Family* FindFamily(std::string_view model_type) {
  for (const Family& family : kFamilies) {
    if (family.model_type == model_type) return &family;
  }
  return nullptr;
}

}  // namespace

Conventions HfConventionsOf(const Checkpoint& checkpoint) {
  std::string model_type;
  checkpoint.config->Read("model_type", model_type).IgnoreError();
  const Family* family = FindFamily(model_type);
  return family != nullptr ? family->conventions : Conventions{};
}

absl::StatusOr<ModelConfig> ConfigFromJson(const Checkpoint& checkpoint,
                                           RecurrentWindow window,
                                           Notes* notes) {
  const Json& outer = *checkpoint.config;
  std::string model_type;
  GEMMA_RETURN_IF_ERROR(WithReason(outer.ReadRequired("model_type", model_type),
                                   ErrorReason::kOtherArchitecture));
  ConfigDraft c;
  c.rms_norm_eps = 1e-6f;
  c.rope_base_local = 10000.0f;
  c.rope_base_global = 10000.0f;
  GEMMA_RETURN_IF_ERROR(ReadTokens(outer, c));

  const Family* family = FindFamily(model_type);
  if (family == nullptr) return OtherFamily(*outer.Find("model_type"));
  GEMMA_ASSIGN_OR_RETURN(const auto text, outer.Object("text_config"));
  const bool is_nested = family->is_outer && text.has_value();
  const Json& json = is_nested ? *text : outer;
  GEMMA_RETURN_IF_ERROR(CheckNotQuantized(outer));
  GEMMA_RETURN_IF_ERROR(CheckNotQuantized(json));
  GEMMA_RETURN_IF_ERROR(CheckSupported(json, model_type));
  GEMMA_RETURN_IF_ERROR(family->read(json, window, c));
  GEMMA_RETURN_IF_ERROR(CheckTask(outer, c));
  if (&json != &outer) GEMMA_RETURN_IF_ERROR(ReadTokens(json, c));
  if (checkpoint.generation_config.has_value()) {
    GEMMA_RETURN_IF_ERROR(ReadTokens(*checkpoint.generation_config, c));
    GEMMA_RETURN_IF_ERROR(checkpoint.generation_config->Read(
        "suppress_tokens", c.suppress_tokens));
  }
  if (c.pooling != Pooling::kNone) {
    GEMMA_RETURN_IF_ERROR(ReadModuleConfigs(checkpoint, c));
  }
  return Finished(std::move(c), notes);
}

}  // namespace gemma::internal
