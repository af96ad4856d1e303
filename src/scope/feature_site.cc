#include "src/scope/feature_site.h"

#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"

namespace gemma::internal {
namespace {

// A module's name in transformers, after "model.layers.N.", and its point.
struct Hook {
  std::string_view name;
  TapPoint point;
};
constexpr Hook kHooks[] = {
    {"output", TapPoint::kBlockOutput},
    {"input_layernorm.output", TapPoint::kMixInput},
    {"self_attn.o_proj.input", TapPoint::kMixHidden},
    {"post_attention_layernorm.output", TapPoint::kMixOutput},
    {"pre_feedforward_layernorm.input", TapPoint::kMixedStream},
    {"pre_feedforward_layernorm.output", TapPoint::kFfwInput},
    {"mlp.down_proj.input", TapPoint::kFfwHidden},
    {"post_feedforward_layernorm.output", TapPoint::kFfwOutput},
};

// A point and its layer.
struct Point {
  TapPoint point = TapPoint::kBlockOutput;
  size_t layer = 0;
};

std::optional<Point> ParseHook(std::string_view hook) {
  constexpr std::string_view kLayers = "layers.";
  const size_t at = hook.find(kLayers);
  if (at == hook.npos || (at != 0 && hook[at - 1] != '.')) return std::nullopt;
  const std::pair<std::string_view, std::string_view> parts =
      absl::StrSplit(hook.substr(at + kLayers.size()), absl::MaxSplits('.', 1));
  Point point;
  if (!absl::SimpleAtoi(parts.first, &point.layer)) return std::nullopt;
  for (const Hook& known : kHooks) {
    if (known.name != parts.second) continue;
    point.point = known.point;
    return point;
  }
  return std::nullopt;
}

absl::StatusOr<Point> ReadHook(const Json& config, std::string_view key) {
  std::string_view hook;
  GEMMA_RETURN_IF_ERROR(config.ReadRequired(key, hook));
  const std::optional<Point> point = ParseHook(hook);
  if (point.has_value()) return *point;
  return config.Find(key)->Unexpected(absl::StrCat(
      "'model.layers.N.' and one of ",
      absl::StrJoin(kHooks, ", ", [](std::string* out, const Hook& known) {
        out->append(known.name);
      })));
}

// Parses "layer_20". Returns nothing for other names.
std::optional<size_t> LayerOf(std::string_view folder) {
  size_t layer = 0;
  if (!absl::ConsumePrefix(&folder, "layer_") ||
      !absl::SimpleAtoi(folder, &layer)) {
    return std::nullopt;
  }
  return layer;
}

// Finds the site of Gemma Scope 1 by a word in the repository's name.
std::optional<FeatureSite> SiteOfRepository(std::string_view name) {
  if (!absl::StrContains(name, "gemma-scope")) return std::nullopt;
  constexpr TapPoint kStream = TapPoint::kBlockOutput;
  constexpr TapPoint kFfw = TapPoint::kFfwOutput;
  for (const std::string_view word : absl::StrSplit(name, '-')) {
    if (word == "res") return FeatureSite{kStream, kStream};
    if (word == "mlp") return FeatureSite{kFfw, kFfw};
    if (word == "att") {
      return FeatureSite{TapPoint::kMixHidden, TapPoint::kMixHidden};
    }
    if (word == "transcoders") {
      return FeatureSite{TapPoint::kMixedStream, kFfw, 0, /*normalize=*/true};
    }
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<FeatureSite> SiteOfConfig(const Json& config) {
  constexpr std::string_view kOut = "hf_hook_point_out";
  GEMMA_ASSIGN_OR_RETURN(const Point in, ReadHook(config, "hf_hook_point_in"));
  Point out = in;
  if (config.Has(kOut) && !config.IsNull(kOut)) {
    GEMMA_ASSIGN_OR_RETURN(out, ReadHook(config, kOut));
  }
  if (in.layer != out.layer) {
    return config.Find(kOut)->Unexpected(
        absl::StrCat("one of layer ", in.layer, ", as hf_hook_point_in is"));
  }
  return FeatureSite{in.point, out.point, in.layer};
}

absl::Status CheckConfig(const Json& config, size_t num_features,
                         bool has_skip) {
  std::string_view architecture = "jump_relu";
  GEMMA_RETURN_IF_ERROR(config.Read("architecture", architecture));
  if (architecture != "jump_relu" && architecture != "jumprelu") {
    return config.Find("architecture")->Unexpected("'jump_relu'");
  }
  std::string_view type = "sae";
  GEMMA_RETURN_IF_ERROR(config.Read("type", type));
  if (type != "sae" && type != "transcoder") {
    return config.Find("type")->Unexpected("'sae' or 'transcoder'");
  }
  size_t width = num_features;
  GEMMA_RETURN_IF_ERROR(config.Read("width", width));
  if (width != num_features) {
    return config.Find("width")->Unexpected(
        absl::StrCat(num_features, ", as the arrays have"));
  }
  bool affine = has_skip;
  GEMMA_RETURN_IF_ERROR(config.Read("affine_connection", affine));
  if (affine != has_skip) {
    return config.Find("affine_connection")
        ->Unexpected(has_skip ? "true: there is an 'affine_skip_connection'"
                              : "false: there is no 'affine_skip_connection'");
  }
  return absl::OkStatus();
}

absl::StatusOr<FeatureSite> SiteOfPath(std::string_view path) {
  std::error_code error;
  const std::string whole =
      std::filesystem::absolute(path, error).lexically_normal().string();
  std::optional<FeatureSite> site;
  std::optional<size_t> layer;
  bool is_embedding = false;
  for (const std::string_view folder : absl::StrSplit(whole, '/')) {
    if (const auto named = SiteOfRepository(folder)) site = named;
    if (const auto numbered = LayerOf(folder)) layer = numbered;
    if (folder == "embedding") is_embedding = true;
  }
  if (site.has_value() && is_embedding) {
    return FeatureSite{TapPoint::kEmbedding, TapPoint::kEmbedding};
  }
  if (!site.has_value() || !layer.has_value()) {
    return absl::FailedPreconditionError(absl::StrCat(
        path,
        ": does not say what it is attached to; wanted a site, or a path as "
        "Gemma Scope has them: "
        "gemma-scope-2b-pt-res/layer_20/width_16k/average_l0_71/params.npz"));
  }
  site->layer = *layer;
  return *site;
}

}  // namespace gemma::internal
