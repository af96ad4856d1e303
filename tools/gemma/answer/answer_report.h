// Writes an answer as JSON.

#ifndef GEMMA_TOOLS_GEMMA_ANSWER_ANSWER_REPORT_H_
#define GEMMA_TOOLS_GEMMA_ANSWER_ANSWER_REPORT_H_

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "gemma/gemma.h"
#include "tools/gemma/answer/answer.h"
#include "tools/gemma/answer/steering.h"
#include "tools/gemma/answer/turn_options.h"
#include "tools/gemma/cli/grammar_options.h"
#include "tools/gemma/cli/model_options.h"

namespace gemma::tools {

// Adds "thoughts" and "tool_calls" to an object, as far as there are any.
void AddParts(std::string_view thoughts, const std::vector<ToolCall>& calls,
              nlohmann::ordered_json* json);

// What was asked for, and how.
struct AskedOptions {
  const ModelOptions& model;
  const AnswerOptions& answer;
  const GrammarOptions& grammar;
  const SteeringOptions& steering;
  const TurnOptions& turns;
  const std::string& system;
  bool chat;
  bool parse_control;
};

// Returns the options of an answer but the seed, by their names with "_" for
// "-".
nlohmann::ordered_json AnswerOptionsJson(const AnswerOptions& options);

// Returns the head of a report (ReportHead) with `options`.
nlohmann::ordered_json RequestJson(const AskedOptions& asked,
                                   const Model& model);

// Adds the answer's fields to a request, and returns the text of the object and
// a newline. If a guard refused, the object contains nothing of the answer.
// `lists_tokens`: has the tokens of the answer.
std::string AnswerJson(nlohmann::ordered_json json,
                       const AnswerOptions& options, const Answer& answer,
                       bool lists_tokens);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_ANSWER_ANSWER_REPORT_H_
