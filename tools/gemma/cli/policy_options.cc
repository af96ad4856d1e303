#include "tools/gemma/cli/policy_options.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/nearest.h"

namespace gemma::tools {
namespace {

constexpr std::string_view kAll = "all";

std::vector<std::string> NamesOf(const std::vector<Policy>& policies) {
  std::vector<std::string> names;
  for (const Policy& policy : policies) names.push_back(policy.name);
  return names;
}

// Returns the policy with this name, or else with the same letters in another
// case, or nullptr.
const Policy* FindPolicy(std::string_view name,
                         const std::vector<Policy>& policies) {
  for (const Policy& policy : policies) {
    if (policy.name == name) return &policy;
  }
  for (const Policy& policy : policies) {
    if (absl::EqualsIgnoreCase(policy.name, name)) return &policy;
  }
  return nullptr;
}

absl::Status NoPolicy(const PolicyOptions& options, std::string_view name,
                      const std::vector<Policy>& policies) {
  const std::vector<std::string> names = NamesOf(policies);
  const std::string option = absl::StrCat(options.prefix, "policy");
  return OptionError({option},
                     absl::StrCat(option, ": '", name, "' is not one of ",
                                  absl::StrJoin(names, "|"), "|", kAll,
                                  DidYouMean(name, names)));
}

}  // namespace

const char kPolicyFileHelp[] =
    R"(A --policy-file is a JSON array of objects. Their fields are texts:
  name                   letters, digits, '_', '-' and '.'
  title                  what the policy forbids, such as "Lock Picking"
  prompt_rule            for prompts: "The prompt shall not ..."
  response_rule          for --response: "The chatbot shall not ..."
A policy has one rule or both. The model reads: "No <title>": <rule>. It was
trained on its own four policies. Test other policies on texts whose answer
you know.

)";

void AddPolicyOptions(CLI::App& app, PolicyOptions* options) {
  const std::string& prefix = options->prefix;
  const std::string names = absl::StrJoin(NamesOf(ShieldPolicies()), ", ");
  AddTexts(
      app, prefix + "policy", "NAME", &options->names,
      absl::StrCat("Policy to check: ", names, ", ", kAll, ", or\na name of ",
                   prefix, "policy-file; may be repeated"))
      ->default_str(std::string(kAll));
  AddText(app, prefix + "policy-file", "FILE", &options->file,
          "JSON file of your own policies, which replace\nthe built-in ones");
  AddChoice(app, prefix + "wording", &options->wording, {"hub", "example"},
            "Prompt of the policy model: as in the published\n"
            "chat template (hub), or as in Google's example\ncode (example)");
}

absl::StatusOr<std::vector<Policy>> ReadPolicies(const PolicyOptions& options) {
  std::vector<Policy> all = ShieldPolicies();
  if (!options.file.empty()) {
    const absl::StatusOr<std::string> text = ReadText(options.file);
    if (!text.ok()) {
      return WithJsonCure(text.status(), options.prefix + "policy-file",
                          options.file);
    }
    GEMMA_ASSIGN_OR_RETURN(all, ParsePolicies(*text, options.file));
  }
  std::vector<Policy> chosen;
  for (const std::string& name : options.names) {
    if (absl::EqualsIgnoreCase(name, kAll)) return all;
    const Policy* policy = FindPolicy(name, all);
    if (policy == nullptr) return NoPolicy(options, name, all);
    const bool is_new =
        std::none_of(chosen.begin(), chosen.end(),
                     [&](const Policy& at) { return at.name == policy->name; });
    if (is_new) chosen.push_back(*policy);
  }
  return chosen.empty() ? all : chosen;
}

ShieldWording WordingOf(const PolicyOptions& options) {
  return options.wording == "example" ? ShieldWording::kExampleCode
                                      : ShieldWording::kHubTemplate;
}

std::string WhyNoShield(std::string_view model, const ClassifierStats& stats) {
  constexpr double kLeastMass = 0.5;
  if (stats.least_answer_mass >= kLeastMass) return "";
  return absl::StrFormat(
      "%s does not answer as a ShieldGemma: Yes and No together have a "
      "probability of %.2g, wanted nearly 1 (gemma pull "
      "hf://google/shieldgemma-2b fetches one)",
      model, stats.least_answer_mass);
}

}  // namespace gemma::tools
