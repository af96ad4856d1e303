#include "tools/gemma/answer/turn_options.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/json.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/text.h"

namespace gemma::tools {
namespace {

using OrderedJson = nlohmann::ordered_json;

absl::Status CheckTools(const Json& json) {
  if (!json.is_array()) return json.Unexpected("a list of tools");
  for (const Json& tool : json.Elements()) {
    if (!tool.is_object()) return tool.Unexpected("an object");
    GEMMA_ASSIGN_OR_RETURN(const std::optional<Json> function,
                           tool.Object("function"));
    if (!function.has_value()) {
      return tool.Unexpected("an object with the key 'function'");
    }
    std::string name;
    GEMMA_RETURN_IF_ERROR(function->ReadRequired("name", name));
    GEMMA_RETURN_IF_ERROR(function->Object("parameters").status());
  }
  return absl::OkStatus();
}

}  // namespace

std::string TurnOptions::asked_by() const {
  if (think) return "--think";
  return tools.empty() ? "" : "--tools";
}

void AddTurnOptions(CLI::App& app, TurnOptions* options) {
  app.add_flag("--think", options->think,
               "Let the model think before it answers. Thoughts are\n"
               "shown dimmed on a terminal, or on standard error");
  AddText(app, "--tools", "FILE", &options->tools,
          "Tools that the model may call: a JSON list of\n"
          "{\"type\": \"function\", \"function\": {\"name\",\n"
          "\"description\", \"parameters\"}}");
}

absl::StatusOr<ChatOptions> ReadTurnOptions(const TurnOptions& options) {
  ChatOptions turns;
  if (options.think) turns.thinking = true;
  if (options.tools.empty()) return turns;
  absl::StatusOr<std::string> tools = ReadText(options.tools);
  if (!tools.ok()) {
    return WithJsonCure(tools.status(), "--tools", options.tools);
  }
  turns.tools = *std::move(tools);
  const absl::StatusOr<Json> json = Json::Parse(turns.tools, options.tools);
  const absl::Status status = json.ok() ? CheckTools(*json) : json.status();
  if (!status.ok()) {
    return OptionError({"--tools"},
                       absl::StrCat("--tools: ", status.message()));
  }
  return turns;
}

OrderedJson CallJson(const ToolCall& call) {
  OrderedJson json = OrderedJson::object();
  if (!call.id.empty()) json["id"] = call.id;
  json["name"] = call.name;
  OrderedJson arguments =
      OrderedJson::parse(call.arguments, nullptr, /*allow_exceptions=*/false);
  json["arguments"] = arguments.is_discarded() ? OrderedJson(call.arguments)
                                               : std::move(arguments);
  return json;
}

std::string CallLines(const std::vector<ToolCall>& calls) {
  std::string lines;
  for (const ToolCall& call : calls) lines += ToLine(CallJson(call));
  return lines;
}

void SetResult(std::string_view text, Message* message) {
  message->role = Role::kTool;
  const absl::StatusOr<Json> json = Json::Parse(text, "result");
  const bool is_object = json.ok() && json->is_object();
  (is_object ? message->content_json : message->text) = std::string(text);
}

ToolDialect DialectOf(const Model& model) {
  const absl::StatusOr<ChatTemplate> turns = model.chat_template();
  return turns.ok() ? turns->tool_dialect() : ToolDialect::kNone;
}

}  // namespace gemma::tools
