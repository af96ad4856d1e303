// Policies of the command line.

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

// The policies, in the order of their names, each once. A name that there is
// not is a usage error.
absl::StatusOr<std::vector<Policy>> ReadPolicies(const PolicyOptions& options);

ShieldWording WordingOf(const PolicyOptions& options);

// What --help says of --policy-file.
extern const char kPolicyFileHelp[];

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CLI_POLICY_OPTIONS_H_
