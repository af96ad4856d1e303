// Options that restrict the form of an answer.

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
  std::string schema;                // a path; empty: no schema
  std::vector<std::string> regexes;  // at most one
  std::vector<std::string> choices;
};

// Adds --format, --schema, --regex and --choice.
void AddGrammarOptions(CLI::App& app, GrammarOptions* options);

// If the only choice has commas, says on standard error that it is one.
void NoteChoice(const GrammarOptions& options);

// Returns the grammar that the options ask for, or nullopt if they allow any
// text. Returns a usage error if the options contradict each other, or if a
// value is not supported; this error names the option and the place in its
// value.
absl::StatusOr<std::optional<Grammar>> ReadGrammar(
    const GrammarOptions& options);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CLI_GRAMMAR_OPTIONS_H_
