#include "tools/gemma/answer/batch_request.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/answer/batch_messages.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/json_line.h"
#include "tools/gemma/io/nearest.h"
#include "tools/gemma/machine/model_error.h"
#include "tools/gemma/words/field_habits.h"

namespace gemma::tools {
namespace {

// The value as a word of the command line.
absl::StatusOr<std::string> Word(std::string_view name,
                                 const nlohmann::ordered_json& json) {
  if (json.is_string()) return json.get<std::string>();
  if (json.is_number()) return json.dump();
  return WrongType(name, json, "a number or a string");
}

std::string FieldOf(const AnswerOption& option) {
  return absl::StrReplaceAll(option.name(), {{"-", "_"}});
}

std::vector<std::string> Fields() {
  std::vector<std::string> fields = {"id",       "prompt", "system",
                                     "messages", "think",  "tools"};
  for (const AnswerOption& option : AllAnswerOptions()) {
    fields.push_back(FieldOf(option));
  }
  return fields;
}

absl::Status SetOption(const AnswerOption& option,
                       const nlohmann::ordered_json& json,
                       AnswerOptions* options) {
  GEMMA_ASSIGN_OR_RETURN(const std::string word, Word(FieldOf(option), json));
  return option.Set(word, options, FieldLabel);
}

absl::Status ReadOption(const std::string& field,
                        const nlohmann::ordered_json& json,
                        AnswerOptions* options) {
  const AnswerOption* option =
      FindAnswerOption(absl::StrReplaceAll(field, {{"_", "-"}}));
  if (option == nullptr || field.find('-') != std::string::npos) {
    const std::vector<std::string> fields = Fields();
    const std::string hint = FieldHint(field, fields);
    return absl::InvalidArgumentError(
        absl::StrCat("no field '", field, "'", hint.empty() ? "" : "; ",
                     hint.empty() ? DidYouMean(field, fields) : hint));
  }
  if (!option->is_repeated()) return SetOption(*option, json, options);
  // The values of the line replace those of the command line.
  option->Clear(options);
  for (const nlohmann::ordered_json& element :
       json.is_array() ? json : nlohmann::ordered_json::array({json})) {
    GEMMA_RETURN_IF_ERROR(SetOption(*option, element, options));
  }
  return absl::OkStatus();
}

absl::Status ReadObject(const nlohmann::ordered_json& json,
                        BatchRequest* request) {
  if (json.contains("custom_id") && json.contains("body")) {
    return absl::InvalidArgumentError(
        "a line of OpenAI's batches, wanted 'id' and the fields of its 'body' "
        "in the line itself: jq -c '{id: .custom_id} + (.body | del(.model))'");
  }
  GEMMA_RETURN_IF_ERROR(ReadId(json, &request->id));
  bool has_prompt = false;
  for (const auto& [name, value] : json.items()) {
    if (name == "id") continue;
    if (name == "prompt") {
      has_prompt = true;
      GEMMA_RETURN_IF_ERROR(ReadTextField(name, value, &request->prompt));
    } else if (name == "system") {
      request->has_system = true;
      GEMMA_RETURN_IF_ERROR(ReadTextField(name, value, &request->system));
    } else if (name == "messages") {
      GEMMA_RETURN_IF_ERROR(ReadMessages(value, &request->messages));
    } else if (name == "think") {
      if (!value.is_boolean()) return WrongType(name, value, "true or false");
      request->turns.thinking = value.get<bool>();
    } else if (name == "tools") {
      if (!value.is_array()) return WrongType(name, value, "a list of tools");
      request->turns.tools = value.empty() ? "" : value.dump();
    } else {
      GEMMA_RETURN_IF_ERROR(ReadOption(name, value, &request->options));
    }
  }
  GEMMA_RETURN_IF_ERROR(Validate(request->options, FieldLabel));
  const bool has_messages = !request->messages.empty();
  if (has_messages && (has_prompt || request->has_system)) {
    return absl::InvalidArgumentError(
        "'messages' excludes 'prompt' and 'system'");
  }
  if (has_messages || has_prompt) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "there is no prompt, wanted 'prompt' or 'messages'");
}

}  // namespace

absl::Status CheckIsLines(std::string_view text, std::string_view name) {
  text = absl::StripAsciiWhitespace(text);
  if (text.empty()) return absl::OkStatus();
  const auto refuse = [&](std::string_view what, std::string_view cure) {
    return WithCure(absl::InvalidArgumentError(absl::StrCat(
                        name, ": is ", what,
                        ", wanted a JSON object or string on each line")),
                    cure);
  };
  const bool has_lines = absl::StrContains(text, '\n');
  if (text[0] == '[' && nlohmann::json::accept(text)) {
    return refuse("one JSON array", "jq -c '.[]' writes a line for each");
  }
  if (text[0] == '{' && has_lines && nlohmann::json::accept(text)) {
    return refuse("one JSON object on several lines",
                  "jq -c . writes it on one line");
  }
  for (const std::string_view line : absl::StrSplit(text, '\n')) {
    const std::string_view rest = absl::StripLeadingAsciiWhitespace(line);
    if (rest.empty()) continue;
    const bool begins_as_json = absl::StrContains("{[\"", rest[0]);
    if (begins_as_json || nlohmann::json::accept(rest)) return absl::OkStatus();
  }
  return refuse("not JSON",
                "jq -Rc . makes each line of a text a prompt; for CSV, write "
                "{\"id\": ..., \"prompt\": ...} for each row");
}

absl::Status ParseBatchRequest(std::string_view line,
                               const BatchRequest& defaults,
                               BatchRequest* request) {
  *request = defaults;
  GEMMA_ASSIGN_OR_RETURN(const nlohmann::ordered_json json,
                         ParseJsonLine(line));
  if (json.is_string()) {
    request->prompt = json.get<std::string>();
    return absl::OkStatus();
  }
  if (!json.is_object())
    return WrongType("the line", json, "an object or a string");
  return ReadObject(json, request);
}

std::string PromptText(const BatchRequest& request) {
  if (request.messages.empty()) return request.prompt;
  const Message& last = request.messages.back();
  return last.content_json.empty() ? last.text : last.content_json;
}

absl::StatusOr<std::vector<TokenId>> PromptTokens(
    const Model& model, const BatchRequest& request,
    const PromptOptions& options) {
  const std::string off = options.no_turns
                              ? absl::StrCat("--chat-template ", kNoTemplate)
                          : options.raw ? "--raw"
                                        : "";
  const bool has_messages = !request.messages.empty();
  if (!off.empty() && (has_messages || request.has_system)) {
    return absl::InvalidArgumentError(
        absl::StrCat(has_messages ? "'messages' need" : "'system' needs",
                     " chat turns, but ", off, " turns them off"));
  }
  if (!has_messages) {
    if (request.has_system && !options.chat) {
      return absl::InvalidArgumentError(
          "'system' needs chat turns; with a base model, --chat makes them");
    }
    PromptOptions with_turns = options;
    with_turns.turns = request.turns;
    with_turns.label = FieldLabel;
    return PromptTokens(model, request.prompt, request.system, with_turns);
  }
  const Message& last = request.messages.back();
  if (last.role == Role::kUser && last.content_json.empty() &&
      absl::StripAsciiWhitespace(last.text).empty()) {
    return absl::InvalidArgumentError(
        "the last message of 'messages' is empty, wanted a text");
  }
  GEMMA_ASSIGN_OR_RETURN(const ChatTemplate turns, ChatTurns(model));
  std::vector<Message> messages = request.messages;
  // Without a system message in the line, use the command line's.
  if (!request.system.empty() && messages[0].role != Role::kSystem &&
      messages[0].role != Role::kDeveloper) {
    messages.insert(messages.begin(), {Role::kSystem, request.system});
  }
  return turns.Render(messages, request.turns);
}

}  // namespace gemma::tools
