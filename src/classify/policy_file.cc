#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gemma/classifier.h"
#include "src/base/internal.h"
#include "src/base/json.h"
#include "src/base/messages.h"
#include "src/base/no_throw.h"
#include "src/base/status_macros.h"

namespace gemma {
namespace {

// Far more than a person writes by hand.
constexpr Json::Limits kLimits = {
    .max_bytes = size_t{1} << 20, .max_depth = 4, .max_values = 1 << 12};
constexpr size_t kMaxNameBytes = 64;

constexpr std::array<std::string_view, 4> kFields = {
    "name", "title", "prompt_rule", "response_rule"};

// Names appear in options, lines and tables, so few characters are allowed.
bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes && name[0] != '-' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
         });
}

absl::StatusOr<Policy> ReadPolicy(const Json& json) {
  if (!json.is_object()) return json.Unexpected("an object, a policy");
  for (const auto& [name, value] : json.Members()) {
    if (std::find(kFields.begin(), kFields.end(), name) == kFields.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat(json.Where(), " has ", Quoted(name), ", wanted ",
                       absl::StrJoin(kFields, ", ")));
    }
  }
  Policy policy;
  GEMMA_RETURN_IF_ERROR(json.ReadRequired("name", policy.name));
  GEMMA_RETURN_IF_ERROR(json.ReadRequired("title", policy.title));
  GEMMA_RETURN_IF_ERROR(json.Read("prompt_rule", policy.prompt_rule));
  GEMMA_RETURN_IF_ERROR(json.Read("response_rule", policy.response_rule));
  if (!IsName(policy.name)) {
    return json.Find("name")->Unexpected(absl::StrCat(
        "1 to ", kMaxNameBytes,
        " letters, digits, '_', '-' or '.', not beginning with '-'"));
  }
  if (policy.title.empty()) return json.Find("title")->Unexpected("a title");
  if (policy.prompt_rule.empty() && policy.response_rule.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(json.Where(),
                     " has no rule, wanted 'prompt_rule', 'response_rule' or "
                     "both"));
  }
  return policy;
}

}  // namespace

absl::StatusOr<std::vector<Policy>> ParsePolicies(std::string_view text,
                                                  std::string_view path) {
  return NoThrow([&]() -> absl::StatusOr<std::vector<Policy>> {
    GEMMA_ASSIGN_OR_RETURN(const Json json,
                           Json::Parse(text, std::string(path), kLimits));
    if (!json.is_array() || json.size() == 0) {
      return json.Unexpected("an array of one policy or more");
    }
    std::vector<Policy> policies;
    for (const Json& element : json.Elements()) {
      GEMMA_ASSIGN_OR_RETURN(Policy policy, ReadPolicy(element));
      for (const Policy& other : policies) {
        if (other.name != policy.name) continue;
        return element.Find("name")->Unexpected("another name for each policy");
      }
      policies.push_back(std::move(policy));
    }
    return policies;
  });
}

}  // namespace gemma
