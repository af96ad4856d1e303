// Writes an answer as JSON.

#ifndef GEMMA_TOOLS_GEMMA_ANSWER_ANSWER_REPORT_H_
#define GEMMA_TOOLS_GEMMA_ANSWER_ANSWER_REPORT_H_

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "tools/gemma/answer/answer.h"

namespace gemma::tools {

// The name of a reason in reports, such as "stop_token".
std::string_view StopReasonName(StopReason reason);

// Adds "thoughts" and "tool_calls" to an object, as far as there are any.
void AddParts(std::string_view thoughts, const std::vector<ToolCall>& calls,
              nlohmann::ordered_json* json);

// The object that `gemma run --help` describes, and a newline. If a guard
// refused, the object contains nothing of the answer.
std::string AnswerJson(std::string_view model_path,
                       const AnswerOptions& options, const Answer& answer);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_ANSWER_ANSWER_REPORT_H_
