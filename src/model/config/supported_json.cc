#include "src/model/config/supported_json.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/model/config/tensor_scales.h"

namespace gemma::internal {
namespace {

// Returns an error if the key is there and not `wanted`.
absl::Status CheckFlag(const Json& json, const char* key, bool wanted) {
  bool flag = wanted;
  GEMMA_RETURN_IF_ERROR(json.Read(key, flag));
  return flag == wanted ? absl::OkStatus()
                        : json.Find(key)->Unexpected(wanted ? "true" : "false");
}

}  // namespace

absl::Status CheckNotQuantized(const Json& json) {
  for (const char* key : {"quantization_config", "quantization"}) {
    const auto value = json.Find(key);
    if (!value.has_value() || value->is_null()) continue;
    GEMMA_ASSIGN_OR_RETURN(const bool is_read, NamesReadScales(*value));
    if (is_read) continue;
    std::string method;
    if (value->is_object()) {
      GEMMA_RETURN_IF_ERROR(value->Read("quant_method", method));
      if (method.empty() && value->Has("group_size") && value->Has("bits")) {
        method = "mlx";
      }
    }
    return absl::InvalidArgumentError(absl::StrCat(
        value->Where(), ": the weights are quantized",
        method.empty() ? "" : absl::StrCat(" by ", Quoted(method)),
        ", wanted the model in F32, BF16, F16 or 8-bit floats of 'fp8' or "
        "'compressed-tensors', or a quantized GGUF file"));
  }
  return absl::OkStatus();
}

absl::Status CheckSupported(const Json& json, std::string_view model_type) {
  if (model_type != "recurrent_gemma") {  // which ignores them
    GEMMA_RETURN_IF_ERROR(CheckFlag(json, "attention_bias", false));
    GEMMA_RETURN_IF_ERROR(CheckFlag(json, "mlp_bias", false));
  }
  // Gemma 4 has words instead of a bool; see gemma4_from_json.cc.
  const bool has_words = absl::StartsWith(model_type, "gemma4");
  const auto value = json.Find("use_bidirectional_attention");
  if (value.has_value() && !has_words) {
    bool bidirectional = false;
    GEMMA_RETURN_IF_ERROR(
        json.Read("use_bidirectional_attention", bidirectional));
    if (bidirectional && model_type != "gemma3_text") {
      return value->Unexpected("false, or the model_type 'gemma3_text'");
    }
  }
  GEMMA_RETURN_IF_ERROR(CheckFlag(json, "is_causal", true));
  return CheckFlag(json, "embeddings_scale_by_sqrt_dim", true);
}

absl::Status CheckTask(const Json& json, ConfigDraft& c) {
  std::vector<std::string> classes;
  GEMMA_RETURN_IF_ERROR(json.Read("architectures", classes));
  bool is_noted = false;
  for (const std::string& name : classes) {
    if (absl::EndsWith(name, "Classification") ||
        absl::EndsWith(name, "QuestionAnswering")) {
      return absl::InvalidArgumentError(absl::StrCat(
          json.Find("architectures")->Where(), " has ", Quoted(name),
          ", wanted a model that continues or embeds texts, such as "
          "'Gemma3ForCausalLM'"));
    }
    if (absl::EndsWith(name, "Model") && c.pooling == Pooling::kNone &&
        !is_noted) {
      c.notes.push_back(FormatText(
          "%s has %s, a model without a head: continues texts with the "
          "embeddings as the head",
          json.Find("architectures")->Where(), Quoted(name)));
      is_noted = true;
    }
  }
  return absl::OkStatus();
}

}  // namespace gemma::internal
