#include "src/model/adapter/adapter_config.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "src/base/format_text.h"
#include "src/base/listing.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"

namespace gemma::internal {
namespace {

// Fields that, if they have any value but false, null or an empty list or
// object, change what an adapter computes.
constexpr std::string_view kRefused[] = {
    "use_dora",
    "lora_bias",
    "modules_to_save",
    "target_parameters",
    "trainable_token_indices",
    "fan_in_fan_out",
    "alora_invocation_tokens",
    "alora_invocation_string",
    "layer_replication",
    "ensure_weight_tying",
};

// Fields named use_... and ..._config that do not change what a trained adapter
// computes. PEFT names its variants of LoRA so, and an unknown one is refused.
constexpr std::string_view kHarmless[] = {
    "use_rslora",     "loftq_config",   "eva_config",      "corda_config",
    "lora_ga_config", "runtime_config", "megatron_config", "velora_config",
};

// Ways to initialize an adapter that also change the base model's weights. The
// adapter belongs to the changed weights.
constexpr std::string_view kChangeBase[] = {"pissa", "olora", "corda", "loftq",
                                            "lora_ga"};

// Limit of the entries of a pattern. More than one for each matrix has no use.
constexpr size_t kMaxEntries = 1024;

bool IsOff(const Json& value) {
  bool is_true = true;
  if (value.is_null()) return true;
  if (value.Get(is_true).ok()) return !is_true;
  return (value.is_array() || value.is_object()) && value.size() == 0;
}

// "['embed_tokens', 'lm_head']", for a list of strings.
std::string Shown(const std::vector<std::string>& names) {
  return absl::StrCat("[", QuotedListing(names), "]");
}

absl::Status Refused(const Json& value) {
  constexpr std::string_view kWhy =
      ", because only adapters that add B A to a matrix can be merged";
  std::vector<std::string> names;
  if (value.is_array() && value.Get(names).ok()) {
    return absl::InvalidArgumentError(absl::StrCat(
        value.Where(), " is ", Shown(names), ", wanted null", kWhy));
  }
  return value.Unexpected(
      absl::StrCat(value.type() == Json::Type::kBool ? "false" : "null", kWhy));
}

bool IsVariant(std::string_view key) {
  const bool named =
      absl::StartsWith(key, "use_") || absl::EndsWith(key, "_config");
  return named && std::find(std::begin(kHarmless), std::end(kHarmless), key) ==
                      std::end(kHarmless);
}

absl::Status CheckFields(const Json& json) {
  std::string_view type;
  GEMMA_RETURN_IF_ERROR(json.ReadRequired("peft_type", type));
  if (type != "LORA") return json.Find("peft_type")->Unexpected("LORA");
  for (const auto& [key, value] : json.Members()) {
    const bool is_refused = std::find(std::begin(kRefused), std::end(kRefused),
                                      key) != std::end(kRefused);
    if ((is_refused || IsVariant(key)) && !IsOff(value)) return Refused(value);
  }
  // Other tasks add a head of their own, or belong to other models.
  std::string_view task;
  GEMMA_RETURN_IF_ERROR(json.Read("task_type", task));
  if (!task.empty() && task != "CAUSAL_LM" && task != "FEATURE_EXTRACTION") {
    return json.Find("task_type")
        ->Unexpected("'CAUSAL_LM' or 'FEATURE_EXTRACTION'");
  }
  std::string_view bias = "none";
  GEMMA_RETURN_IF_ERROR(json.Read("bias", bias));
  if (bias != "none") return json.Find("bias")->Unexpected("none");
  const std::optional<Json> start = json.Find("init_lora_weights");
  std::string_view name;
  if (!start.has_value() || !start->is_string()) return absl::OkStatus();
  GEMMA_RETURN_IF_ERROR(start->Get(name));
  for (const std::string_view changes : kChangeBase) {
    if (!absl::StartsWith(absl::AsciiStrToLower(name), changes)) continue;
    return start->Unexpected(
        "true: this way to begin changes the base model's weights, too (PEFT "
        "can convert such an adapter when it saves it)");
  }
  return absl::OkStatus();
}

// Reads a string, or a list of strings. Leaves `value` unchanged if the key is
// missing, null, or a string.
absl::Status ReadList(const Json& json, std::string_view key,
                      std::vector<std::string>& value) {
  const std::optional<Json> found = json.Find(key);
  if (!found.has_value() || found->is_null() || found->is_string()) {
    return absl::OkStatus();
  }
  return found->Get(value);
}

// The number after "layers" in the name of a module, or nothing.
std::optional<size_t> LayerOf(std::string_view module) {
  for (const std::string_view part : absl::StrSplit(module, '.')) {
    size_t layer = 0;
    if (absl::SimpleAtoi(part, &layer)) return layer;
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<AdapterConfig> AdapterConfig::Read(const Json& json) {
  GEMMA_RETURN_IF_ERROR(CheckFields(json));
  AdapterConfig config(json);
  // PEFT's defaults.
  config.rank_ = 8;
  config.alpha_ = 8;
  GEMMA_RETURN_IF_ERROR(json.Read("r", config.rank_));
  GEMMA_RETURN_IF_ERROR(json.Read("lora_alpha", config.alpha_));
  GEMMA_RETURN_IF_ERROR(json.Read("use_rslora", config.rank_stabilized_));
  GEMMA_RETURN_IF_ERROR(
      json.Read("base_model_name_or_path", config.base_model_));
  GEMMA_ASSIGN_OR_RETURN(config.rank_pattern_,
                         ReadPattern(json, "rank_pattern"));
  GEMMA_ASSIGN_OR_RETURN(config.alpha_pattern_,
                         ReadPattern(json, "alpha_pattern"));
  // A string is an expression for names, or "all-linear". The tensors say as
  // much.
  GEMMA_RETURN_IF_ERROR(ReadList(json, "target_modules", config.targets_));
  const std::optional<Json> layers = json.Find("layers_to_transform");
  if (layers.has_value() && !IsOff(*layers)) {
    config.layers_.emplace();
    if (layers->is_array()) {
      GEMMA_RETURN_IF_ERROR(layers->Get(*config.layers_));
    } else {
      GEMMA_RETURN_IF_ERROR(layers->Get(config.layers_->emplace_back()));
    }
  }
  return config;
}

absl::StatusOr<AdapterConfig::Pattern> AdapterConfig::ReadPattern(
    const Json& json, std::string_view key) {
  GEMMA_ASSIGN_OR_RETURN(const std::optional<Json> object, json.Object(key));
  Pattern pattern;
  if (!object.has_value()) return pattern;
  if (object->size() > kMaxEntries) {
    return absl::InvalidArgumentError(
        FormatText("%s has %u entries, wanted at most %u", object->Where(),
                   object->size(), kMaxEntries));
  }
  for (const auto& [name, value] : object->Members()) {
    absl::StatusOr<RegexMatcher> whole = RegexMatcher::Create(name);
    if (!whole.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(value.Where(), ": ", whole.status().message()));
    }
    absl::StatusOr<RegexMatcher> end =
        RegexMatcher::Create(absl::StrCat(".*\\.(?:", name, ")"));
    std::optional<RegexMatcher> with_more;
    if (end.ok()) with_more = *std::move(end);
    pattern.push_back({value, *std::move(whole), std::move(with_more)});
  }
  return pattern;
}

absl::StatusOr<std::optional<Json>> AdapterConfig::Find(
    Pattern& pattern, std::string_view module) {
  for (PatternEntry& entry : pattern) {
    GEMMA_ASSIGN_OR_RETURN(bool matches, entry.whole.Matches(module));
    if (!matches && entry.end.has_value()) {
      GEMMA_ASSIGN_OR_RETURN(matches, entry.end->Matches(module));
    }
    if (matches) return entry.value;
  }
  return std::nullopt;
}

absl::Status AdapterConfig::CheckTarget(std::string_view module) const {
  const bool is_target =
      targets_.empty() ||
      std::any_of(targets_.begin(), targets_.end(),
                  [&](const std::string& target) {
                    return module == target ||
                           absl::EndsWith(module, absl::StrCat(".", target));
                  });
  if (!is_target) {
    return absl::InvalidArgumentError(absl::StrCat(
        json_.Find("target_modules")->Where(), " is ", Shown(targets_),
        ", without ", Quoted(module), ", for which there are tensors"));
  }
  if (!layers_.has_value()) return absl::OkStatus();
  const std::optional<size_t> layer = LayerOf(module);
  if (layer.has_value() &&
      std::find(layers_->begin(), layers_->end(), *layer) != layers_->end()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(json_.Find("layers_to_transform")->Where(), " is [",
                   Listing(*layers_, [](size_t number) { return number; }),
                   "], without the layer of ", Quoted(module),
                   ", for which there are tensors"));
}

absl::StatusOr<float> AdapterConfig::ScaleOf(std::string_view module,
                                             size_t rank) {
  GEMMA_RETURN_IF_ERROR(CheckTarget(module));
  GEMMA_ASSIGN_OR_RETURN(const std::optional<Json> own_rank,
                         Find(rank_pattern_, module));
  size_t wanted = rank_;
  if (own_rank.has_value()) GEMMA_RETURN_IF_ERROR(own_rank->Get(wanted));
  if (rank != wanted) {
    return absl::InvalidArgumentError(
        FormatText("%s is %u, but the tensors of %s have rank %u",
                   own_rank.has_value() ? own_rank->Where()
                                        : absl::StrCat(json_.Where(), ": 'r'"),
                   wanted, Quoted(module), rank));
  }
  double alpha = alpha_;
  GEMMA_ASSIGN_OR_RETURN(const std::optional<Json> own_alpha,
                         Find(alpha_pattern_, module));
  if (own_alpha.has_value()) GEMMA_RETURN_IF_ERROR(own_alpha->Get(alpha));
  const auto r = static_cast<double>(rank);
  return static_cast<float>(alpha / (rank_stabilized_ ? std::sqrt(r) : r));
}

}  // namespace gemma::internal
