// Options that choose policies.

#ifndef GEMMA_TOOLS_GEMMA_CLI_POLICY_OPTIONS_H_
#define GEMMA_TOOLS_GEMMA_CLI_POLICY_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gemma/gemma.h"

namespace gemma::tools {

struct PolicyOptions {
  std::string prefix = "--";       // of the options' names
  std::vector<std::string> names;  // empty: all
  std::string file;                // empty: ShieldGemma's own policies
  std::string wording = "hub";
};

// Adds --policy, --policy-file and --wording, with the prefix of `options`.
void AddPolicyOptions(CLI::App& app, PolicyOptions* options);

// Returns the policies in the order of `options.names`, each once. An unknown
// name is a usage error.
absl::StatusOr<std::vector<Policy>> ReadPolicies(const PolicyOptions& options);

ShieldWording WordingOf(const PolicyOptions& options);

// The paragraph of --help on --policy-file.
extern const char kPolicyFileHelp[];

// Returns why the results of a model mean nothing, as for a model that is no
// ShieldGemma, or "" if it answers with Yes or No.
std::string WhyNoShield(std::string_view model, const ClassifierStats& stats);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CLI_POLICY_OPTIONS_H_
