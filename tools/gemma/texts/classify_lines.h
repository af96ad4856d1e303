// gemma classify --jsonl: classifies a text per line.

#ifndef GEMMA_TOOLS_GEMMA_TEXTS_CLASSIFY_LINES_H_
#define GEMMA_TOOLS_GEMMA_TEXTS_CLASSIFY_LINES_H_

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/gemma.h"

namespace gemma::tools {

struct ClassifyLinesOptions {
  std::string model;            // its name, for a note
  nlohmann::ordered_json head;  // how each line begins
  std::string input;            // "-": standard input
  bool quiet = false;           // no progress
  bool verbose = false;         // progress even without a terminal
};

// The part of --help that describes the lines.
extern const char kClassifyLinesHelp[];

// A JSON object with the probability of each policy, by its name.
nlohmann::ordered_json ProbabilitiesJson(
    absl::Span<const Policy> policies, absl::Span<const double> probabilities);

// Classifies each line of the input as soon as it comes, and writes a line for
// it to standard output, in the same order. A bad line does not stop the
// others; after the last line, ClassifyLines fails if any line was bad.
absl::Status ClassifyLines(const Model& model, ClassifierOptions options,
                           absl::Span<const Policy> policies,
                           const ClassifyLinesOptions& lines);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_TEXTS_CLASSIFY_LINES_H_
