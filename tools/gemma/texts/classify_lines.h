// gemma classify --jsonl: a text a line.

#ifndef GEMMA_TOOLS_GEMMA_TEXTS_CLASSIFY_LINES_H_
#define GEMMA_TOOLS_GEMMA_TEXTS_CLASSIFY_LINES_H_

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/gemma.h"

namespace gemma::tools {

struct ClassifyLinesOptions {
  std::string input;     // "-": standard input
  bool quiet = false;    // no progress
  bool verbose = false;  // progress also where it is no terminal
};

// What --help says of the lines.
extern const char kClassifyLinesHelp[];

// An object of the policies' names and their probabilities.
nlohmann::ordered_json ProbabilitiesJson(
    absl::Span<const Policy> policies, absl::Span<const double> probabilities);

// Classifies each line of the input as soon as it comes, and writes a line for
// it to standard output, in order. Fails after the last if one was none.
absl::Status ClassifyLines(const Model& model, ClassifierOptions options,
                           absl::Span<const Policy> policies,
                           const ClassifyLinesOptions& lines);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_TEXTS_CLASSIFY_LINES_H_
