// Options that say what an answer shall be.

#ifndef GEMMA_TOOLS_GEMMA_CLI_GRAMMAR_OPTIONS_H_
#define GEMMA_TOOLS_GEMMA_CLI_GRAMMAR_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gemma/gemma.h"

namespace gemma::tools {

struct GrammarOptions {
  std::string format = "text";
  std::string schema;                // a path; empty: none
  std::vector<std::string> regexes;  // one at most
  std::vector<std::string> choices;
};

// Adds --format, --schema, --regex and --choice.
void AddGrammarOptions(CLI::App& app, GrammarOptions* options);

// What the options ask for, if they do. A usage error if they contradict each
// other, or names the option, and the place in it, that is not supported.
absl::StatusOr<std::optional<Grammar>> ReadGrammar(
    const GrammarOptions& options);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CLI_GRAMMAR_OPTIONS_H_
