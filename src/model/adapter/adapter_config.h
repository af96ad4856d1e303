// adapter_config.json, the configuration of an adapter in the form of PEFT.

#ifndef GEMMA_SRC_MODEL_ADAPTER_ADAPTER_CONFIG_H_
#define GEMMA_SRC_MODEL_ADAPTER_ADAPTER_CONFIG_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/base/json.h"
#include "src/grammar/regex_matcher.h"

namespace gemma::internal {

// The fields that say how the adapter of each module is scaled. Modules are
// named as in PEFT: "model.layers.0.self_attn.q_proj".
class AdapterConfig {
 public:
  // `json` is an object. Errors name a field of the wrong type or range, and
  // one that asks for something other than W + scale * B A.
  static absl::StatusOr<AdapterConfig> Read(const Json& json);

  // Returns the factor of the module's B A, whose rank the tensors have. Errors
  // name the field that contradicts the rank, or that excludes the module.
  absl::StatusOr<float> ScaleOf(std::string_view module, size_t rank);

  // base_model_name_or_path; may be empty.
  const std::string& base_model() const { return base_model_; }

 private:
  // One entry of rank_pattern or alpha_pattern.
  struct PatternEntry {
    Json value;          // a number
    RegexMatcher whole;  // matches the name of a module
    // Matches a name that has more parts before those of the entry. Nothing if
    // the entry's anchor excludes such names.
    std::optional<RegexMatcher> end;
  };
  using Pattern = std::vector<PatternEntry>;

  static absl::StatusOr<Pattern> ReadPattern(const Json& json,
                                             std::string_view key);
  // Returns the value of the first entry that matches.
  static absl::StatusOr<std::optional<Json>> Find(Pattern& pattern,
                                                  std::string_view module);
  // Checks that the module is one of those that the adapter targets.
  absl::Status CheckTarget(std::string_view module) const;

  explicit AdapterConfig(Json json) : json_(std::move(json)) {}

  Json json_;
  std::string base_model_;
  size_t rank_ = 0;
  double alpha_ = 0;
  bool rank_stabilized_ = false;
  Pattern rank_pattern_;
  Pattern alpha_pattern_;
  std::vector<std::string> targets_;           // empty: the tensors decide
  std::optional<std::vector<size_t>> layers_;  // layers_to_transform
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_ADAPTER_ADAPTER_CONFIG_H_
