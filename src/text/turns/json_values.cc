#include "src/text/turns/json_values.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "src/base/status_macros.h"

namespace gemma::internal {
namespace {

absl::StatusOr<JinjaValue> ValueOf(const Json& json) {
  switch (json.type()) {
    case Json::Type::kNull:
      return JinjaValue::None();
    case Json::Type::kBool: {
      bool value = false;
      GEMMA_RETURN_IF_ERROR(json.Get(value));
      return JinjaValue::Bool(value);
    }
    case Json::Type::kNumber: {
      int64_t whole = 0;
      if (json.IsInteger() && json.Get(whole).ok()) {
        return JinjaValue::Int(whole);
      }
      if (json.IsInteger()) {
        std::string digits;
        GEMMA_RETURN_IF_ERROR(json.GetDigits(digits));
        return JinjaValue::LargeInt(digits);
      }
      double value = 0;
      GEMMA_RETURN_IF_ERROR(json.Get(value));
      return JinjaValue::Double(value);
    }
    case Json::Type::kString: {
      std::string_view text;
      GEMMA_RETURN_IF_ERROR(json.Get(text));
      return JinjaValue::String(text, TextOrigin::kMessage);
    }
    case Json::Type::kArray: {
      std::vector<JinjaValue> items;
      for (const Json& element : json.Elements()) {
        GEMMA_ASSIGN_OR_RETURN(items.emplace_back(), ValueOf(element));
      }
      return JinjaValue::List(std::move(items));
    }
    case Json::Type::kObject: {
      std::vector<std::pair<std::string, JinjaValue>> entries;
      for (const auto& [name, member] : json.Members()) {
        GEMMA_ASSIGN_OR_RETURN(JinjaValue value, ValueOf(member));
        entries.emplace_back(name, std::move(value));
      }
      return JinjaValue::Dict(std::move(entries));
    }
  }
  return JinjaValue::None();
}

absl::StatusOr<Json> Parsed(std::string_view json, std::string_view what) {
  return Json::Parse(json, std::string(what), kChatJsonLimits);
}

}  // namespace

absl::StatusOr<JinjaValue> ValueFromJson(std::string_view json,
                                         std::string_view what) {
  GEMMA_ASSIGN_OR_RETURN(const Json parsed, Parsed(json, what));
  return ValueOf(parsed);
}

absl::StatusOr<JinjaValue> ArgumentsFromJson(std::string_view json,
                                             std::string_view what) {
  if (json.empty()) return JinjaValue::Dict({});
  GEMMA_ASSIGN_OR_RETURN(const Json parsed, Parsed(json, what));
  if (!parsed.is_object()) return parsed.Unexpected("an object");
  return ValueOf(parsed);
}

absl::StatusOr<JinjaValue> ToolsFromJson(std::string_view json) {
  GEMMA_ASSIGN_OR_RETURN(const Json parsed, Parsed(json, "tools"));
  if (!parsed.is_array()) return parsed.Unexpected("a list of tools");
  for (const Json& tool : parsed.Elements()) {
    if (!tool.is_object()) return tool.Unexpected("an object");
    GEMMA_ASSIGN_OR_RETURN(const auto function, tool.Object("function"));
    if (!function.has_value()) {
      return tool.Unexpected("an object with the key 'function'");
    }
    std::string name;
    GEMMA_RETURN_IF_ERROR(function->ReadRequired("name", name));
    GEMMA_RETURN_IF_ERROR(function->Object("parameters").status());
  }
  return ValueOf(parsed);
}

}  // namespace gemma::internal
