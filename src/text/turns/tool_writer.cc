#include "src/text/turns/tool_writer.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/jinja/run/jinja_template.h"
#include "src/jinja/values/meter.h"
#include "src/jinja/values/operations.h"
#include "src/jinja/values/text_functions.h"
#include "src/jinja/values/text_of.h"

namespace gemma::internal {
namespace {

// The value of a key, undefined if it is missing or if this is not a dict.
JinjaValue At(const JinjaValue& value, std::string_view key) {
  const JinjaValue* found = value.is_dict() ? value.Find(key) : nullptr;
  return found != nullptr ? *found : JinjaValue();
}

absl::StatusOr<std::string> TextOf(const JinjaValue& value, bool upper) {
  Meter meter(JinjaLimits{});
  GEMMA_ASSIGN_OR_RETURN(MarkedText text, StrOf(value, meter));
  if (upper) {
    GEMMA_ASSIGN_OR_RETURN(text, ChangeCase(text, CaseChange::kUpper, meter));
  }
  return text.text();
}

// A schema's type in upper case, "" if it has none.
absl::StatusOr<std::string> TypeOf(const JinjaValue& schema) {
  return TextOf(At(schema, "type"), /*upper=*/true);
}

using Entry = std::pair<std::string, JinjaValue>;

// The entries of a dict, sorted by their keys in lower case.
absl::StatusOr<std::vector<Entry>> Sorted(const JinjaValue& dict) {
  struct Ranked {
    std::string lower;
    Entry entry;
  };
  std::vector<Ranked> ranked;
  Meter meter(JinjaLimits{});
  for (const JinjaValue::Entry& entry : dict.entries()) {
    GEMMA_ASSIGN_OR_RETURN(
        const MarkedText lower,
        ChangeCase(entry.key.marked(), CaseChange::kLower, meter));
    ranked.push_back({lower.text(), {entry.key.text(), entry.value}});
  }
  std::stable_sort(
      ranked.begin(), ranked.end(),
      [](const Ranked& a, const Ranked& b) { return a.lower < b.lower; });
  std::vector<Entry> entries;
  for (Ranked& each : ranked) entries.push_back(std::move(each.entry));
  return entries;
}

// Writes a comma before each part but the first.
class Commas {
 public:
  explicit Commas(MarkedText& text) : text_(text) {}
  void Next() {
    if (std::exchange(any_, true)) text_.Append(",", TextOrigin::kTemplate);
  }

 private:
  MarkedText& text_;
  bool any_ = false;
};

absl::Status BadDeclaration(std::string_view tool, std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(
      "tools: the declaration of ", gemma::internal::Quoted(tool), " ", what));
}

}  // namespace

void ToolWriter::String(std::string_view text) {
  Words(marks_.quote);
  text_.Append(text, TextOrigin::kMessage);
  Words(marks_.quote);
}

absl::Status ToolWriter::Quoted(const JinjaValue& value, bool upper) {
  GEMMA_ASSIGN_OR_RETURN(const std::string text, TextOf(value, upper));
  String(text);
  return absl::OkStatus();
}

absl::Status ToolWriter::Value(const JinjaValue& value, Keys keys) {
  if (value.is_string()) {
    String(value.text());
    return absl::OkStatus();
  }
  if (value.is_dict()) {
    Words("{");
    GEMMA_RETURN_IF_ERROR(Entries(value, keys));
    Words("}");
    return absl::OkStatus();
  }
  if (value.is_sequence()) {
    Words("[");
    Commas commas(text_);
    for (const JinjaValue& item : value.items()) {
      commas.Next();
      GEMMA_RETURN_IF_ERROR(Value(item, keys));
    }
    Words("]");
    return absl::OkStatus();
  }
  if (value.is_bool()) {
    Words(value.boolean() ? "true" : "false");
    return absl::OkStatus();
  }
  GEMMA_ASSIGN_OR_RETURN(const std::string text, TextOf(value, false));
  text_.Append(text, TextOrigin::kMessage);
  return absl::OkStatus();
}

absl::Status ToolWriter::Entries(const JinjaValue& dict, Keys keys) {
  GEMMA_ASSIGN_OR_RETURN(const std::vector<Entry> entries, Sorted(dict));
  Commas commas(text_);
  for (const auto& [key, value] : entries) {
    commas.Next();
    if (keys == Keys::kQuoted) {
      String(key);
    } else {
      text_.Append(key, TextOrigin::kMessage);
    }
    Words(":");
    GEMMA_RETURN_IF_ERROR(Value(value, keys));
  }
  return absl::OkStatus();
}

absl::Status ToolWriter::Required(const JinjaValue& names) {
  if (!names.is_sequence()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "tools: 'required' is of type ", names.TypeName(), ", wanted a list"));
  }
  Words("[");
  Commas commas(text_);
  for (const JinjaValue& name : names.items()) {
    commas.Next();
    GEMMA_RETURN_IF_ERROR(Quoted(name));
  }
  Words("]");
  return absl::OkStatus();
}

absl::Status ToolWriter::Properties(const JinjaValue& properties) {
  // The published template takes properties of these names for keywords.
  constexpr std::string_view kKeywords[] = {"description", "type", "properties",
                                            "required", "nullable"};
  GEMMA_ASSIGN_OR_RETURN(const std::vector<Entry> entries, Sorted(properties));
  Commas commas(text_);
  for (const auto& [name, schema] : entries) {
    if (std::ranges::find(kKeywords, name) != std::end(kKeywords)) continue;
    commas.Next();
    text_.Append(name, TextOrigin::kMessage);
    Words(":");
    GEMMA_RETURN_IF_ERROR(Property(schema));
  }
  return absl::OkStatus();
}

absl::Status ToolWriter::Property(const JinjaValue& schema) {
  GEMMA_ASSIGN_OR_RETURN(const std::string type, TypeOf(schema));
  Words("{");
  Commas commas(text_);
  const auto key = [&](std::string_view name) {
    commas.Next();
    Words(name);
    Words(":");
  };
  if (const JinjaValue description = At(schema, "description");
      IsTrue(description)) {
    key("description");
    GEMMA_RETURN_IF_ERROR(Quoted(description));
  }
  if (const JinjaValue choices = At(schema, "enum");
      type == "STRING" && IsTrue(choices)) {
    key("enum");
    GEMMA_RETURN_IF_ERROR(Value(choices, Keys::kQuoted));
  }
  if (const JinjaValue items = At(schema, "items");
      type == "ARRAY" && items.is_dict() && IsTrue(items)) {
    key("items");
    GEMMA_RETURN_IF_ERROR(Items(items));
  }
  if (IsTrue(At(schema, "nullable"))) {
    key("nullable");
    Words("true");
  }
  if (type == "OBJECT") {
    const JinjaValue inner = At(schema, "properties");
    key("properties");
    Words("{");
    GEMMA_RETURN_IF_ERROR(Properties(inner.is_dict() ? inner : schema));
    Words("}");
    if (const JinjaValue required = At(schema, "required"); IsTrue(required)) {
      key("required");
      GEMMA_RETURN_IF_ERROR(Required(required));
    }
  }
  key("type");
  String(type);
  Words("}");
  return absl::OkStatus();
}

absl::Status ToolWriter::Items(const JinjaValue& items) {
  GEMMA_ASSIGN_OR_RETURN(const std::vector<Entry> entries, Sorted(items));
  Words("{");
  Commas commas(text_);
  for (const auto& [name, value] : entries) {
    if (value.is_none()) continue;
    commas.Next();
    text_.Append(name, TextOrigin::kMessage);
    Words(":");
    if (name == "properties") {
      Words("{");
      if (value.is_dict()) GEMMA_RETURN_IF_ERROR(Properties(value));
      Words("}");
    } else if (name == "required") {
      GEMMA_RETURN_IF_ERROR(Required(value));
    } else if (name == "type" && value.is_sequence()) {
      Words("[");
      Commas types(text_);
      for (const JinjaValue& type : value.items()) {
        types.Next();
        GEMMA_RETURN_IF_ERROR(Quoted(type, /*upper=*/true));
      }
      Words("]");
    } else if (name == "type") {
      GEMMA_RETURN_IF_ERROR(Quoted(value, /*upper=*/true));
    } else {
      GEMMA_RETURN_IF_ERROR(Value(value, Keys::kQuoted));
    }
  }
  Words("}");
  return absl::OkStatus();
}

absl::Status ToolWriter::Parameters(const JinjaValue& parameters) {
  Words(",parameters:{");
  if (const JinjaValue properties = At(parameters, "properties");
      IsTrue(properties)) {
    if (!properties.is_dict()) {
      return absl::InvalidArgumentError(
          absl::StrCat("tools: 'properties' is of type ", properties.TypeName(),
                       ", wanted an object"));
    }
    Words("properties:{");
    GEMMA_RETURN_IF_ERROR(Properties(properties));
    Words("},");
  }
  if (const JinjaValue required = At(parameters, "required");
      IsTrue(required)) {
    Words("required:");
    GEMMA_RETURN_IF_ERROR(Required(required));
    Words(",");
  }
  Words("type:");
  GEMMA_RETURN_IF_ERROR(Quoted(At(parameters, "type"), /*upper=*/true));
  Words("}");
  return absl::OkStatus();
}

absl::Status ToolWriter::Declaration(const JinjaValue& tool) {
  const JinjaValue function = At(tool, "function");
  const std::string name = At(function, "name").text();
  Words(marks_.open_declaration);
  Words("declaration:");
  text_.Append(name, TextOrigin::kMessage);
  Words("{description:");
  GEMMA_RETURN_IF_ERROR(Quoted(At(function, "description")));
  if (const JinjaValue parameters = At(function, "parameters");
      IsTrue(parameters)) {
    if (!IsTrue(At(parameters, "type"))) {
      return BadDeclaration(name, "has parameters without a 'type'");
    }
    GEMMA_RETURN_IF_ERROR(Parameters(parameters));
  }
  if (const JinjaValue response = At(function, "response");
      !response.is_undefined()) {
    GEMMA_ASSIGN_OR_RETURN(const std::string type, TypeOf(response));
    if (type != "OBJECT") {
      return BadDeclaration(name, "has a 'response', wanted the type object");
    }
    Words(",response:{");
    if (const JinjaValue about = At(response, "description"); IsTrue(about)) {
      Words("description:");
      GEMMA_RETURN_IF_ERROR(Quoted(about));
      Words(",");
    }
    Words("type:");
    String(type);
    Words("}");
  }
  Words("}");
  Words(marks_.close_declaration);
  return absl::OkStatus();
}

absl::Status ToolWriter::Call(std::string_view name,
                              const JinjaValue& arguments) {
  Words(marks_.open_call);
  Words("call:");
  text_.Append(name, TextOrigin::kMessage);
  Words("{");
  GEMMA_RETURN_IF_ERROR(Entries(arguments, Keys::kBare));
  Words("}");
  Words(marks_.close_call);
  return absl::OkStatus();
}

absl::Status ToolWriter::Result(std::string_view name,
                                const JinjaValue& result) {
  Words(marks_.open_result);
  Words("response:");
  text_.Append(name, TextOrigin::kMessage);
  Words("{");
  if (result.is_dict()) {
    GEMMA_RETURN_IF_ERROR(Entries(result, Keys::kBare));
  } else {
    Words("value:");
    GEMMA_RETURN_IF_ERROR(Value(result, Keys::kBare));
  }
  Words("}");
  Words(marks_.close_result);
  return absl::OkStatus();
}

}  // namespace gemma::internal
