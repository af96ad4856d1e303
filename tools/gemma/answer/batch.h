// gemma run --batch: many prompts from a file.

#ifndef GEMMA_TOOLS_GEMMA_ANSWER_BATCH_H_
#define GEMMA_TOOLS_GEMMA_ANSWER_BATCH_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "gemma/gemma.h"
#include "tools/gemma/answer/batch_request.h"
#include "tools/gemma/answer/guard.h"
#include "tools/gemma/cli/options.h"

namespace gemma::tools {

struct BatchOptions {
  std::string input;         // "-": standard input
  std::string output = "-";  // "-": standard output
  size_t size = EngineOptions().max_sequences;
  bool chat = false;     // prompts without messages are chat turns
  bool quiet = false;    // no progress
  bool verbose = false;  // progress also where it is no terminal, and a summary
  Guard* guard = nullptr;  // judges prompts and answers
};

// What --help says of the files.
extern const char kBatchHelp[];

// Answers the lines of the input that the output has no answers to, or refuses
// them. Fails after the last if one has no answer but an error. An interrupt
// ends it with an InterruptedError; what was answered until then is in the
// output.
absl::Status RunBatch(const Model& model, const ModelOptions& model_options,
                      const BatchOptions& options,
                      const BatchRequest& defaults);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_ANSWER_BATCH_H_
