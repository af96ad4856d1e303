#include "tools/gemma/answer/answer_report.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_replace.h"
#include "tools/gemma/answer/turn_options.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/report_head.h"

namespace gemma::tools {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr std::string_view kSeed = "seed";  // a field of its own

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

OrderedJson AnswerOptionsJson(const AnswerOptions& options) {
  OrderedJson json;
  for (const AnswerOption& option : AllAnswerOptions()) {
    if (option.name() == kSeed) continue;
    const std::string text = option.Get(options);
    OrderedJson& value = json[absl::StrReplaceAll(option.name(), {{"-", "_"}})];
    int64_t count = 0;
    double number = 0;
    if (option.is_repeated()) {
      value = option.Texts(options);
    } else if (absl::SimpleAtoi(text, &count)) {
      value = count;
    } else if (absl::SimpleAtod(text, &number)) {
      value = number;
    } else {
      value = text;
    }
  }
  return json;
}

void AddParts(std::string_view thoughts, const std::vector<ToolCall>& calls,
              OrderedJson* json) {
  if (!thoughts.empty()) (*json)["thoughts"] = thoughts;
  if (calls.empty()) return;
  OrderedJson& list = (*json)["tool_calls"] = OrderedJson::array();
  for (const ToolCall& call : calls) list.push_back(CallJson(call));
}

OrderedJson RequestJson(const AskedOptions& asked, const Model& model) {
  OrderedJson json = ReportHead(asked.model, model);
  OrderedJson& options = json["options"] = OptionsJson(
      asked.model, model,
      SessionOptionsOf(asked.model, DefaultContext(model)).max_tokens);
  options.update(AnswerOptionsJson(asked.answer));
  options["chat"] = asked.chat;
  const auto add = [&options](const char* name, const auto& value) {
    if (!value.empty()) options[name] = value;
  };
  add("system", asked.system);
  add("chat_template", asked.model.chat_template);
  add("tools", asked.turns.tools);
  add("schema", asked.grammar.schema);
  add("regex", asked.grammar.regexes);
  add("choice", asked.grammar.choices);
  add("steer", asked.steering.steer);
  add("ablate", asked.steering.ablate);
  const auto set = [&options](const char* name, bool value) {
    if (value) options[name] = true;
  };
  set("json", asked.grammar.format == "json");
  set("think", asked.turns.think);
  set("parse_control", asked.parse_control);
  return json;
}

std::string AnswerJson(OrderedJson json, const AnswerOptions& options,
                       const Answer& answer, bool lists_tokens) {
  if (!answer.verdicts.empty()) json["guard"] = VerdictsJson(answer.verdicts);
  if (!RefusalOf(answer.verdicts).ok()) return ToText(json);
  json["text"] = answer.text;
  AddParts(answer.thoughts, answer.tool_calls, &json);
  if (lists_tokens) json["tokens"] = ToJson(answer.tokens);
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
