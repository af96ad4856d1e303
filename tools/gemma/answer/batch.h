// gemma run --batch: answers many prompts from a file.

#ifndef GEMMA_TOOLS_GEMMA_ANSWER_BATCH_H_
#define GEMMA_TOOLS_GEMMA_ANSWER_BATCH_H_

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/status.h"
#include "gemma/gemma.h"
#include "tools/gemma/answer/batch_request.h"
#include "tools/gemma/answer/guard.h"
#include "tools/gemma/cli/model_options.h"

namespace gemma::tools {

struct BatchOptions {
  std::string input;         // "-": standard input
  std::string output = "-";  // "-": standard output
  size_t size = EngineOptions().max_sequences;
  bool restart = false;  // start over instead of continuing the output
  // How each line begins: a report's head with the options of all lines.
  nlohmann::ordered_json head;
  PromptOptions prompt;    // for prompts without messages
  bool quiet = false;      // no progress, no notes
  bool verbose = false;    // progress even without a terminal, and a summary
  Guard* guard = nullptr;  // judges prompts and answers; may be null
};

// The part of --help that describes the files.
extern const char kBatchHelp[];

// Answers or refuses each line of the input that has no answer in the output
// yet. Fails if the output has an answer of another model, or with options that
// the line would not have now; see batch_resume.h. A line that fails does not
// stop the others; after the last line, the batch fails if the output has an
// error for any line. An interrupt is an InterruptedError; the output then has
// the answers so far.
absl::Status RunBatch(const Model& model, const ModelOptions& model_options,
                      const BatchOptions& options,
                      const BatchRequest& defaults);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_ANSWER_BATCH_H_
