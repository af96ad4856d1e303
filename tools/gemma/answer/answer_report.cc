#include "tools/gemma/answer/answer_report.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "tools/gemma/answer/turn_options.h"
#include "tools/gemma/io/text.h"

namespace gemma::tools {
namespace {

using OrderedJson = nlohmann::ordered_json;

OrderedJson ToJson(const ScoredToken& token) {
  OrderedJson json = {{"id", token.token}, {"piece", token.piece}};
  if (!token.log_probability.has_value()) return json;
  json["logprob"] = *token.log_probability;
  OrderedJson& alternatives = json["alternatives"] = OrderedJson::array();
  for (const TokenProbability& other : token.alternatives) {
    alternatives.push_back({{"id", other.token},
                            {"piece", other.piece},
                            {"logprob", other.log_probability}});
  }
  return json;
}

OrderedJson ToJson(const std::vector<ScoredToken>& tokens) {
  OrderedJson json = OrderedJson::array();
  for (const ScoredToken& token : tokens) json.push_back(ToJson(token));
  return json;
}

}  // namespace

std::string_view StopReasonName(StopReason reason) {
  switch (reason) {
    case StopReason::kStopToken:
      return "stop_token";
    case StopReason::kStopString:
      return "stop_string";
    case StopReason::kMaxTokens:
      return "max_tokens";
    case StopReason::kContextFull:
      return "context_full";
    case StopReason::kCancelled:
      return "cancelled";
    case StopReason::kDeadline:
      return "deadline";
    case StopReason::kGrammarEnd:
      return "grammar_end";
  }
  return "";
}

void AddParts(std::string_view thoughts, const std::vector<ToolCall>& calls,
              OrderedJson* json) {
  if (!thoughts.empty()) (*json)["thoughts"] = thoughts;
  if (calls.empty()) return;
  OrderedJson& list = (*json)["tool_calls"] = OrderedJson::array();
  for (const ToolCall& call : calls) list.push_back(CallJson(call));
}

std::string AnswerJson(std::string_view model_path,
                       const AnswerOptions& options, const Answer& answer) {
  OrderedJson json = {{"model", model_path}};
  if (!answer.verdicts.empty()) json["guard"] = VerdictsJson(answer.verdicts);
  if (!RefusalOf(answer.verdicts).ok()) return ToText(json);
  json["text"] = answer.text;
  AddParts(answer.thoughts, answer.tool_calls, &json);
  json["tokens"] = ToJson(answer.tokens);
  if (!answer.prompt_tokens.empty()) {
    json["prompt"] = ToJson(answer.prompt_tokens);
  }
  json["stop_reason"] = StopReasonName(answer.stats.stop_reason);
  json["prompt_tokens"] = answer.stats.prompt_tokens;
  json["new_tokens"] = answer.stats.new_tokens;
  json["seed"] = options.sampling.seed;
  json["prefill_seconds"] = answer.stats.prefill_seconds;
  json["decode_seconds"] = answer.stats.decode_seconds;
  return ToText(json);
}

}  // namespace gemma::tools
