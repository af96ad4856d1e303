// Renders templates for the tests.

#ifndef GEMMA_TESTS_JINJA_RENDER_H_
#define GEMMA_TESTS_JINJA_RENDER_H_

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "src/base/status_macros.h"
#include "src/jinja/run/jinja_template.h"

namespace gemma::internal {

// Returns the value of JSON. All of it is a message's.
inline JinjaValue ValueOf(const nlohmann::ordered_json& json) {
  if (json.is_null()) return JinjaValue::None();
  if (json.is_boolean()) return JinjaValue::Bool(json.get<bool>());
  if (json.is_number_integer()) return JinjaValue::Int(json.get<int64_t>());
  if (json.is_number()) return JinjaValue::Double(json.get<double>());
  if (json.is_string()) {
    return JinjaValue::String(json.get<std::string>(), TextOrigin::kMessage);
  }
  if (json.is_array()) {
    std::vector<JinjaValue> items;
    for (const auto& item : json) items.push_back(ValueOf(item));
    return JinjaValue::List(std::move(items));
  }
  std::vector<std::pair<std::string, JinjaValue>> entries;
  for (const auto& [key, value] : json.items()) {
    entries.emplace_back(key, ValueOf(value));
  }
  return JinjaValue::Dict(std::move(entries));
}

// Renders a template with variables, which are JSON.
inline absl::StatusOr<MarkedText> Render(std::string_view source,
                                         std::string_view variables = "{}",
                                         const JinjaLimits& limits = {}) {
  GEMMA_ASSIGN_OR_RETURN(const JinjaTemplate parsed,
                         JinjaTemplate::Parse(source, limits));
  return parsed.Render(ValueOf(nlohmann::ordered_json::parse(variables)));
}

// Returns the text, or "<error: CODE: message>".
inline std::string TextOf(const absl::StatusOr<MarkedText>& result) {
  if (result.ok()) return result->text();
  return "<error: " + absl::StatusCodeToString(result.status().code()) + ": " +
         std::string(result.status().message()) + ">";
}

// Returns the text with each run of a message in guillemets: "a«b»c".
inline std::string MarksOf(const absl::StatusOr<MarkedText>& result) {
  if (!result.ok()) return TextOf(result);
  std::string marks;
  size_t begin = 0;
  for (const MarkedText::Run& run : result->runs()) {
    const std::string part = result->text().substr(begin, run.end - begin);
    marks += run.origin == TextOrigin::kMessage ? "«" + part + "»" : part;
    begin = run.end;
  }
  return marks;
}

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_JINJA_RENDER_H_
