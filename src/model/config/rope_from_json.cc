#include "src/model/config/rope_from_json.h"

#include <algorithm>
#include <optional>
#include <string>

#include "src/base/format_text.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"

namespace gemma::internal {
namespace {

constexpr char kPartial[] = "partial_rotary_factor";

// Refuses heads that rotate in part if that would count, or adds a note: the
// default type rotates whole heads.
absl::Status CheckWhole(const Json& json, bool is_linear, Notes& notes) {
  float rotating = 1.0f;
  GEMMA_RETURN_IF_ERROR(json.Read(kPartial, rotating));
  if (rotating == 1.0f) return absl::OkStatus();
  if (is_linear) return json.Find(kPartial)->Unexpected("1");
  notes.push_back(FormatText("%s is %g, and has no effect in this model",
                             json.Find(kPartial)->Where(), rotating));
  return absl::OkStatus();
}

// Reads one set of parameters: {"rope_type", "rope_theta", "factor"}.
absl::Status ReadSet(const Json& json, float& base, float& factor, Notes& notes,
                     const char* wanted = "'default' or 'linear'") {
  GEMMA_RETURN_IF_ERROR(json.Read("rope_theta", base));
  std::string type = "default";
  GEMMA_RETURN_IF_ERROR(json.Read("type", type));
  GEMMA_RETURN_IF_ERROR(json.Read("rope_type", type));
  if (type == "linear") return json.ReadRequired("factor", factor);
  if (type != "default") {
    return absl::InvalidArgumentError(
        FormatText("%s: the type of RoPE is %s, wanted %s", json.Where(),
                   Quoted(type), wanted));
  }
  float unused = 1.0f;
  GEMMA_RETURN_IF_ERROR(json.Read("factor", unused));
  if (unused != 1.0f) {
    notes.push_back(FormatText(
        "%s is %g, and has no effect: the type of RoPE is not 'linear'",
        json.Find("factor")->Where(), unused));
  }
  return absl::OkStatus();
}

// Returns the set that counts: rope_scaling if it is there and not empty, or
// else rope_parameters.
absl::StatusOr<std::optional<Json>> SharedSet(const Json& json) {
  GEMMA_ASSIGN_OR_RETURN(std::optional<Json> set, json.Object("rope_scaling"));
  if (!set.has_value() || set->size() == 0) {
    GEMMA_ASSIGN_OR_RETURN(set, json.Object("rope_parameters"));
  }
  if (set.has_value() &&
      (set->Has("full_attention") || set->Has("sliding_attention"))) {
    return set->Unexpected("one set of RoPE parameters for all layers");
  }
  return set;
}

// Reads the set of one kind of attention. Defaults are those of transformers'
// RopeParameters.
absl::Status ReadRule(const Json& set, RopeRule& rule, Notes& notes) {
  rule = {};
  std::string type = "default";
  GEMMA_RETURN_IF_ERROR(set.Read("type", type));
  GEMMA_RETURN_IF_ERROR(set.Read("rope_type", type));
  if (type != "proportional") {
    GEMMA_RETURN_IF_ERROR(ReadSet(set, rule.base, rule.factor, notes,
                                  "'default', 'linear' or 'proportional'"));
    return CheckWhole(set, type == "linear", notes);
  }
  GEMMA_RETURN_IF_ERROR(set.Read("rope_theta", rule.base));
  GEMMA_RETURN_IF_ERROR(set.Read("factor", rule.factor));
  GEMMA_RETURN_IF_ERROR(set.Read(kPartial, rule.rotating));
  if (rule.rotating >= 0.0 && rule.rotating <= 1.0) return absl::OkStatus();
  return set.Find(kPartial)->Unexpected("0 to 1");
}

// Adds a note for a key that transformers ignores in models whose
// rope_parameters have sets.
void NoteOldKey(const Json& json, const char* key, Notes& notes) {
  const std::optional<Json> value = json.Find(key);
  if (!value.has_value() || value->is_null()) return;
  notes.push_back(FormatText("%s has no effect in this model", value->Where()));
}

absl::Status ReadShared(const Json& json, ConfigDraft& c) {
  GEMMA_RETURN_IF_ERROR(json.Read("rope_theta", c.rope_base_global));
  GEMMA_ASSIGN_OR_RETURN(const std::optional<Json> set, SharedSet(json));
  if (set.has_value()) {
    GEMMA_RETURN_IF_ERROR(
        ReadSet(*set, c.rope_base_global, c.rope_factor_global, c.notes));
  }
  c.rope_base_local = c.rope_base_global;
  c.rope_factor_local = c.rope_factor_global;
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadOneRope(const Json& json, ConfigDraft& c) {
  GEMMA_RETURN_IF_ERROR(ReadShared(json, c));
  const bool is_linear = c.rope_factor_global != 1.0f;
  GEMMA_RETURN_IF_ERROR(CheckWhole(json, is_linear, c.notes));
  GEMMA_ASSIGN_OR_RETURN(const std::optional<Json> set, SharedSet(json));
  if (!set.has_value()) return absl::OkStatus();
  return CheckWhole(*set, is_linear, c.notes);
}

absl::Status ReadTwoRopes(const Json& json, ConfigDraft& c) {
  GEMMA_RETURN_IF_ERROR(json.Read("rope_theta", c.rope_base_global));
  GEMMA_RETURN_IF_ERROR(json.Read("rope_local_base_freq", c.rope_base_local));
  const auto read = [&](const std::optional<Json>& set, float& base,
                        float& factor) -> absl::Status {
    if (!set.has_value()) return absl::OkStatus();
    GEMMA_RETURN_IF_ERROR(ReadSet(*set, base, factor, c.notes));
    return CheckWhole(*set, factor != 1.0f, c.notes);
  };
  GEMMA_ASSIGN_OR_RETURN(const auto both, json.Object("rope_parameters"));
  if (both.has_value()) {
    GEMMA_ASSIGN_OR_RETURN(const auto global, both->Object("full_attention"));
    GEMMA_ASSIGN_OR_RETURN(const auto local, both->Object("sliding_attention"));
    GEMMA_RETURN_IF_ERROR(
        read(global, c.rope_base_global, c.rope_factor_global));
    GEMMA_RETURN_IF_ERROR(read(local, c.rope_base_local, c.rope_factor_local));
    if (!global.has_value() && !local.has_value() && both->size() != 0) {
      c.notes.push_back(FormatText(
          "%s has no effect in this model: it states neither 'full_attention' "
          "nor 'sliding_attention'",
          both->Where()));
    }
  }
  GEMMA_ASSIGN_OR_RETURN(const auto scaling, json.Object("rope_scaling"));
  GEMMA_RETURN_IF_ERROR(
      read(scaling, c.rope_base_global, c.rope_factor_global));
  return CheckWhole(json, c.rope_factor_global != 1.0f, c.notes);
}

absl::Status ReadPartialRope(const Json& json, ConfigDraft& c) {
  GEMMA_RETURN_IF_ERROR(ReadShared(json, c));
  if (c.rope_factor_global != 1.0f) {
    return absl::InvalidArgumentError(
        FormatText("%s: the factor of RoPE is %g, wanted 1", json.Where(),
                   c.rope_factor_global));
  }
  float rotating = 0.5f;
  GEMMA_RETURN_IF_ERROR(json.Read(kPartial, rotating));
  GEMMA_ASSIGN_OR_RETURN(const std::optional<Json> set, SharedSet(json));
  if (set.has_value()) GEMMA_RETURN_IF_ERROR(set->Read(kPartial, rotating));
  if (!(rotating >= 0.0f && rotating <= 1.0f)) {
    return absl::InvalidArgumentError(
        FormatText("%s: partial_rotary_factor is %g, wanted 0 to 1",
                   json.Where(), rotating));
  }
  c.all.rope.rotary_dim =
      static_cast<size_t>(rotating * static_cast<float>(c.all.head_dim));
  return absl::OkStatus();
}

RopeConfig RopeOf(const RopeRule& rule, size_t head_dim) {
  const auto pairs =
      static_cast<size_t>(rule.rotating * static_cast<double>(head_dim) / 2.0);
  RopeConfig rope;
  rope.base = rule.base;
  rope.factor = rule.factor;
  if (pairs == 0) return rope;
  rope.rotary_dim = head_dim;
  if (pairs < head_dim / 2) rope.num_rotating = pairs;
  return rope;
}

absl::Status ReadRopeRules(const Json& json, RopeRules& rules, ConfigDraft& c) {
  NoteOldKey(json, "rope_theta", c.notes);
  NoteOldKey(json, "rope_local_base_freq", c.notes);
  NoteOldKey(json, "rope_scaling", c.notes);
  GEMMA_ASSIGN_OR_RETURN(const auto both, json.Object("rope_parameters"));
  if (!both.has_value()) return absl::OkStatus();
  const auto read = [&](const char* key, BlockType type,
                        RopeRule& rule) -> absl::Status {
    GEMMA_ASSIGN_OR_RETURN(const auto set, both->Object(key));
    if (set.has_value()) return ReadRule(*set, rule, c.notes);
    if (std::count(c.blocks.begin(), c.blocks.end(), type) == 0) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(
        FormatText("%s has no member '%s', wanted one, because layers are of "
                   "this type",
                   both->Where(), key));
  };
  GEMMA_RETURN_IF_ERROR(
      read("full_attention", BlockType::kGlobalAttention, rules.global));
  return read("sliding_attention", BlockType::kLocalAttention, rules.local);
}

}  // namespace gemma::internal
