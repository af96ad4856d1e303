// Writes an answer as JSON.

#ifndef GEMMA_TOOLS_GEMMA_ANSWER_ANSWER_REPORT_H_
#define GEMMA_TOOLS_GEMMA_ANSWER_ANSWER_REPORT_H_

#include <string>
#include <string_view>

#include "tools/gemma/answer/answer.h"

namespace gemma::tools {

// The name of a reason in reports, such as "stop_token".
std::string_view StopReasonName(StopReason reason);

// The object that `gemma run --help` describes, and a newline. If a guard
// refused, the object contains nothing of the answer.
std::string AnswerJson(std::string_view model_path, const Answer& answer);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_ANSWER_ANSWER_REPORT_H_
