#include "src/serve/request/tool_fields.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/serve/answer/json_writer.h"

namespace gemma::internal {
namespace {

using Names = std::vector<std::string>;

// Reads {"type": "function", "function": {...}}, and returns the function.
absl::StatusOr<Json> FunctionOf(const Json& json) {
  GEMMA_ASSIGN_OR_RETURN(Fields fields, Fields::Of(json));
  std::string type;
  GEMMA_RETURN_IF_ERROR(fields.ReadRequired("type", type));
  const std::optional<Json> function = fields.Take("function");
  if (type != "function") {
    return FieldError(
        *json.Find("type"),
        absl::StrCat("is ", Quoted(type),
                     ", wanted 'function': this server knows no other tools"));
  }
  GEMMA_RETURN_IF_ERROR(fields.RefuseOthers());
  if (!function.has_value()) return fields.Missing("function");
  return *function;
}

// Reads the declaration of a tool, and adds its name.
absl::Status ReadTool(const Json& json, Names& names) {
  GEMMA_ASSIGN_OR_RETURN(const Json function, FunctionOf(json));
  GEMMA_ASSIGN_OR_RETURN(Fields fields, Fields::Of(function));
  std::string description;
  GEMMA_RETURN_IF_ERROR(fields.ReadRequired("name", names.emplace_back()));
  GEMMA_RETURN_IF_ERROR(fields.Read("description", description));
  // Templates show what a tool returns.
  fields.Ignore({"parameters", "strict", "response", "return"});
  return fields.RefuseOthers();
}

// Reads {"function": {"name"}}, the name of a declared tool.
absl::Status ReadNamed(const Json& json, const Names& declared, Names& names) {
  GEMMA_ASSIGN_OR_RETURN(const Json function, FunctionOf(json));
  GEMMA_ASSIGN_OR_RETURN(Fields fields, Fields::Of(function));
  GEMMA_RETURN_IF_ERROR(fields.ReadRequired("name", names.emplace_back()));
  GEMMA_RETURN_IF_ERROR(fields.RefuseOthers());
  if (std::ranges::find(declared, names.back()) != declared.end()) {
    return absl::OkStatus();
  }
  return FieldError(*function.Find("name"),
                    absl::StrCat("is ", Quoted(names.back()),
                                 ", which 'tools' does not declare"));
}

absl::Status ReadMode(const Json& json, ToolChoice& choice) {
  std::string word;
  GEMMA_RETURN_IF_ERROR(AtField(json.Get(word), json));
  if (word == "auto") {
    choice = ToolChoice::kAuto;
  } else if (word == "none") {
    choice = ToolChoice::kNone;
  } else if (word == "required") {
    choice = ToolChoice::kRequired;
  } else {
    return FieldError(json, absl::StrCat("is ", Quoted(word),
                                         ", wanted auto, none, required or the "
                                         "name of a function in an object"));
  }
  return absl::OkStatus();
}

absl::Status ReadAllowed(const Json& json, const Names& declared,
                         ToolRules& rules) {
  GEMMA_ASSIGN_OR_RETURN(Fields fields, Fields::Of(json));
  const std::optional<Json> mode = fields.Take("mode");
  const std::optional<Json> tools = fields.Take("tools");
  GEMMA_RETURN_IF_ERROR(fields.RefuseOthers());
  if (!mode.has_value()) return fields.Missing("mode");
  if (!tools.has_value()) return fields.Missing("tools");
  GEMMA_RETURN_IF_ERROR(ReadMode(*mode, rules.choice));
  if (!tools->is_array()) {
    return AtField(tools->Unexpected("a list of tools"), *tools);
  }
  if (tools->size() == 0) {
    return FieldError(*tools, "is empty, wanted one tool or more");
  }
  for (const Json& tool : tools->Elements()) {
    GEMMA_RETURN_IF_ERROR(ReadNamed(tool, declared, rules.names));
  }
  return absl::OkStatus();
}

absl::Status ReadChoice(const Json& json, const Names& declared,
                        ToolRules& rules) {
  if (json.is_string()) return ReadMode(json, rules.choice);
  if (!json.is_object()) {
    return AtField(json.Unexpected("a string or an object"), json);
  }
  std::string type;
  const std::optional<Json> allowed = json.Find("allowed_tools");
  GEMMA_RETURN_IF_ERROR(AtField(json.Read("type", type), json));
  if (type != "allowed_tools") {
    rules.choice = ToolChoice::kRequired;
    rules.parallel = false;
    return ReadNamed(json, declared, rules.names);
  }
  GEMMA_ASSIGN_OR_RETURN(Fields fields, Fields::Of(json));
  fields.Ignore({"type", "allowed_tools"});
  GEMMA_RETURN_IF_ERROR(fields.RefuseOthers());
  if (!allowed.has_value()) return fields.Missing("allowed_tools");
  return ReadAllowed(*allowed, declared, rules);
}

}  // namespace

absl::StatusOr<std::optional<ToolFields>> ReadToolFields(Fields& fields) {
  ToolFields read;
  Names declared;
  const std::optional<Json> tools = fields.Take("tools");
  if (tools.has_value() && !tools->is_array()) {
    return AtField(tools->Unexpected("a list of tools"), *tools);
  }
  if (tools.has_value()) {
    for (const Json& tool : tools->Elements()) {
      GEMMA_RETURN_IF_ERROR(ReadTool(tool, declared));
    }
    read.tools = CompactJson(*tools);
  }
  GEMMA_RETURN_IF_ERROR(
      fields.Read("parallel_tool_calls", read.rules.parallel));
  if (const std::optional<Json> choice = fields.Take("tool_choice");
      choice.has_value()) {
    GEMMA_RETURN_IF_ERROR(ReadChoice(*choice, declared, read.rules));
    if (declared.empty() && read.rules.choice == ToolChoice::kRequired) {
      return FieldError(*choice, "asks for a call, but there are no 'tools'");
    }
  }
  if (declared.empty()) return std::nullopt;
  return read;
}

ToolDialect CallsToRead(const ToolRules& rules) {
  const bool are_text =
      rules.dialect == ToolDialect::kJson && rules.choice == ToolChoice::kNone;
  return are_text ? ToolDialect::kNone : rules.dialect;
}

}  // namespace gemma::internal
