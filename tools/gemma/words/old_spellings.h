// Spellings of earlier versions, and of tools whose scripts call gemma, which
// still work: the option -o once chose the form of the result, and still does
// in llama-bench.

#ifndef GEMMA_TOOLS_GEMMA_WORDS_OLD_SPELLINGS_H_
#define GEMMA_TOOLS_GEMMA_WORDS_OLD_SPELLINGS_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace gemma::tools {

struct SpelledWords {
  std::vector<std::string> words;
  std::vector<std::string> notes;  // one for each old spelling
};

// Returns the words after a command's name with -o FORM, --output FORM and
// --output-format FORM as --FORM, or without them for "text". A usage error for
// a form that the command does not have. bench's --batch becomes --batch-size.
absl::StatusOr<SpelledWords> NewSpellings(
    const CLI::App& command, const std::vector<std::string>& words);

// Sets the variable of the form that GEMMA_OUTPUT_FORMAT names, and returns a
// note if there is one to print. A usage error if the command has forms, but
// not this one.
absl::StatusOr<std::string> ReadFormVariable(const CLI::App& command);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_WORDS_OLD_SPELLINGS_H_
