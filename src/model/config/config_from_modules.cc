// Pooling and dense layers, from the module folders of sentence-transformers.
// Keys and defaults are those of its classes Pooling and Dense.

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gemma/error_reason.h"
#include "src/base/json.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/formats/modules.h"
#include "src/model/config/read_config.h"

namespace gemma::internal {
namespace {

// The types of modules, in their required order.
constexpr std::string_view kOrder[] = {"Transformer", "Pooling", "Dense",
                                       "Normalize"};

absl::StatusOr<const Json*> ConfigOf(const Checkpoint& checkpoint,
                                     const Module& module) {
  if (module.config.has_value()) return &*module.config;
  return WithReason(
      absl::NotFoundError(absl::StrCat(
          checkpoint.path, ": no ", module.TensorName("config.json"),
          ", which modules.json wants for its ", module.type)),
      ErrorReason::kMissingFile);
}

// Old files have a flag for each way to pool; new files name one way.
absl::Status CheckPooling(const Json& json, const ModelConfig& c) {
  std::string mode = "mean";
  GEMMA_RETURN_IF_ERROR(json.Read("pooling_mode", mode));
  if (mode != "mean") return json.Find("pooling_mode")->Unexpected("'mean'");
  for (const auto& [name, value] : json.Members()) {
    if (!absl::StartsWith(name, "pooling_mode_")) continue;
    bool is_set = false;
    GEMMA_RETURN_IF_ERROR(value.Get(is_set));
    const bool wanted = name == "pooling_mode_mean_tokens";
    if (is_set != wanted) return value.Unexpected(wanted ? "true" : "false");
  }
  bool with_prompt = true;
  GEMMA_RETURN_IF_ERROR(json.Read("include_prompt", with_prompt));
  if (!with_prompt) return json.Find("include_prompt")->Unexpected("true");
  for (const char* key : {"word_embedding_dimension", "embedding_dimension"}) {
    size_t dim = c.embedding_dim();
    GEMMA_RETURN_IF_ERROR(json.Read(key, dim));
    if (dim != c.embedding_dim()) {
      return json.Find(key)->Unexpected(
          absl::StrCat(c.dense_dims.empty() ? "hidden_size " : "embedding_dim ",
                       c.embedding_dim()));
    }
  }
  return absl::OkStatus();
}

absl::Status ReadDense(const Json& json, ModelConfig& c) {
  size_t in = 0;
  size_t out = 0;
  bool bias = true;
  std::string activation;
  GEMMA_RETURN_IF_ERROR(json.ReadRequired("in_features", in));
  GEMMA_RETURN_IF_ERROR(json.ReadRequired("out_features", out));
  GEMMA_RETURN_IF_ERROR(json.ReadRequired("bias", bias));
  GEMMA_RETURN_IF_ERROR(json.ReadRequired("activation_function", activation));
  if (in != c.embedding_dim()) {
    return json.Find("in_features")
        ->Unexpected(absl::StrCat(c.embedding_dim(), ", the width before it"));
  }
  if (bias) return json.Find("bias")->Unexpected("false");
  if (activation != "Identity" && !absl::EndsWith(activation, ".Identity")) {
    return json.Find("activation_function")
        ->Unexpected("'torch.nn.modules.linear.Identity'");
  }
  if (out < 1 || out > kMaxSize) {
    return json.Find("out_features")
        ->Unexpected(absl::StrCat("1 to ", kMaxSize));
  }
  c.dense_dims.push_back(out);
  return absl::OkStatus();
}

// Checks that modules.json lists supported modules, in the order in which the
// engine computes them.
absl::Status CheckOrder(const Checkpoint& checkpoint) {
  const auto* at = std::begin(kOrder);
  for (const Module& module : checkpoint.modules) {
    const auto* found = std::find(at, std::end(kOrder), module.type);
    if (found == std::end(kOrder)) {
      return absl::InvalidArgumentError(absl::StrCat(
          checkpoint.path, ": modules.json lists ", Quoted(module.type),
          ", wanted Transformer, Pooling, Dense and Normalize in this order"));
    }
    at = found;
  }
  const auto has_one = [&](std::string_view type) {
    return ModulesOf(checkpoint.modules, type).size() == 1;
  };
  if (!has_one("Transformer") || !has_one("Pooling") ||
      !ModulesOf(checkpoint.modules, "Transformer")[0]->path.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        checkpoint.path,
        ": modules.json must list one Transformer, with path '', and one "
        "Pooling"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadModuleConfigs(const Checkpoint& checkpoint, ModelConfig& c) {
  if (checkpoint.sentence_config.has_value()) {
    size_t max_tokens = c.max_context;
    GEMMA_RETURN_IF_ERROR(
        checkpoint.sentence_config->Read("max_seq_length", max_tokens));
    c.max_context = std::min(c.max_context, max_tokens);
  }
  if (checkpoint.modules.empty()) return absl::OkStatus();
  GEMMA_RETURN_IF_ERROR(CheckOrder(checkpoint));
  for (const Module* module : ModulesOf(checkpoint.modules, "Pooling")) {
    GEMMA_ASSIGN_OR_RETURN(const Json* json, ConfigOf(checkpoint, *module));
    GEMMA_RETURN_IF_ERROR(CheckPooling(*json, c));
  }
  for (const Module* module : ModulesOf(checkpoint.modules, "Dense")) {
    GEMMA_ASSIGN_OR_RETURN(const Json* json, ConfigOf(checkpoint, *module));
    GEMMA_RETURN_IF_ERROR(ReadDense(*json, c));
  }
  return absl::OkStatus();
}

}  // namespace gemma::internal
