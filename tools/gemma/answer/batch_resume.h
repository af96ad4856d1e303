// Whether the answers that a batch finds in its output are those that it would
// give now.

#ifndef GEMMA_TOOLS_GEMMA_ANSWER_BATCH_RESUME_H_
#define GEMMA_TOOLS_GEMMA_ANSWER_BATCH_RESUME_H_

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "tools/gemma/answer/batch.h"
#include "tools/gemma/answer/batch_request.h"
#include "tools/gemma/answer/prompt.h"

namespace gemma::tools {

// Limits a completion to the default number of tokens if neither the line nor
// the command line limits it. Returns whether the request is a chat turn.
bool LimitAnswer(const PromptOptions& prompt, BatchRequest* request);

// The options of all lines, and the line's own in their place.
nlohmann::ordered_json LineOptions(const BatchOptions& options,
                                   const BatchRequest& request);

// Compares an answer in the output with what its line asks for now: the model's
// path and type, whether a guard judges, the seed, and all options that may
// change an answer; those that only change speed may differ. Fields that the
// answer does not have are not compared. Returns what differs, such as "an
// answer of m.gguf, wanted one of n.gguf", or "".
std::string DifferenceOf(const nlohmann::ordered_json& answer,
                         std::string_view line, const BatchOptions& options,
                         const BatchRequest& defaults);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_ANSWER_BATCH_RESUME_H_
