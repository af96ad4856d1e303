#include "tools/gemma/answer/batch_request.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/json_line.h"
#include "tools/gemma/io/nearest.h"
#include "tools/gemma/machine/model_error.h"

namespace gemma::tools {
namespace {

absl::StatusOr<Role> RoleOf(std::string_view name) {
  if (name == "system") return Role::kSystem;
  if (name == "user") return Role::kUser;
  if (name == "assistant" || name == "model") return Role::kModel;
  return absl::InvalidArgumentError(
      absl::StrCat("'role' is '", name, "', wanted system, user or assistant"));
}

absl::Status ReadMessages(const nlohmann::json& json,
                          std::vector<Message>* messages) {
  if (!json.is_array()) {
    return WrongType("messages", json, "an array of messages");
  }
  if (json.empty()) {
    return absl::InvalidArgumentError(
        "'messages' is empty, wanted one message or more");
  }
  for (const nlohmann::json& from : json) {
    if (!from.is_object()) return WrongType("messages", from, "objects in it");
    std::string role;
    Message message;
    for (const auto& [name, value] : from.items()) {
      if (name == "role") {
        GEMMA_RETURN_IF_ERROR(ReadTextField(name, value, &role));
      } else if (name == "content") {
        GEMMA_RETURN_IF_ERROR(ReadTextField(name, value, &message.text));
      } else {
        return absl::InvalidArgumentError(absl::StrCat(
            "a message has '", name, "', wanted 'role' and 'content'"));
      }
    }
    if (!from.contains("content")) {
      return absl::InvalidArgumentError(
          "a message has no 'content', wanted 'role' and 'content'");
    }
    GEMMA_ASSIGN_OR_RETURN(message.role, RoleOf(role));
    messages->push_back(std::move(message));
  }
  return absl::OkStatus();
}

// The value as a word of the command line.
absl::StatusOr<std::string> Word(std::string_view name,
                                 const nlohmann::json& json) {
  if (json.is_string()) return json.get<std::string>();
  if (json.is_number()) return json.dump();
  return WrongType(name, json, "a number or a string");
}

std::string FieldOf(const AnswerOption& option) {
  return absl::StrReplaceAll(option.name(), {{"-", "_"}});
}

std::vector<std::string> Fields() {
  std::vector<std::string> fields = {"id", "prompt", "system", "messages"};
  for (const AnswerOption& option : AllAnswerOptions()) {
    fields.push_back(FieldOf(option));
  }
  return fields;
}

absl::Status SetOption(const AnswerOption& option, const nlohmann::json& json,
                       AnswerOptions* options) {
  GEMMA_ASSIGN_OR_RETURN(const std::string word, Word(FieldOf(option), json));
  return option.Set(word, options, FieldLabel);
}

absl::Status ReadOption(const std::string& field, const nlohmann::json& json,
                        AnswerOptions* options) {
  const AnswerOption* option =
      FindAnswerOption(absl::StrReplaceAll(field, {{"_", "-"}}));
  if (option == nullptr || field.find('-') != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("no field '", field, "'", DidYouMean(field, Fields())));
  }
  if (!option->is_repeated()) return SetOption(*option, json, options);
  // The values of the line replace those of the command line.
  option->Clear(options);
  for (const nlohmann::json& element :
       json.is_array() ? json : nlohmann::json::array({json})) {
    GEMMA_RETURN_IF_ERROR(SetOption(*option, element, options));
  }
  return absl::OkStatus();
}

absl::Status ReadObject(const nlohmann::json& json, BatchRequest* request) {
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

absl::Status ParseBatchRequest(std::string_view line,
                               const BatchRequest& defaults,
                               BatchRequest* request) {
  *request = defaults;
  GEMMA_ASSIGN_OR_RETURN(const nlohmann::json json, ParseJsonLine(line));
  if (json.is_string()) {
    request->prompt = json.get<std::string>();
    return absl::OkStatus();
  }
  if (!json.is_object())
    return WrongType("the line", json, "an object or a string");
  return ReadObject(json, request);
}

std::string PromptText(const BatchRequest& request) {
  return request.messages.empty() ? request.prompt
                                  : request.messages.back().text;
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
    return PromptTokens(model, request.prompt, request.system, options);
  }
  GEMMA_ASSIGN_OR_RETURN(const ChatTemplate turns, ChatTurns(model));
  std::vector<Message> messages = request.messages;
  // Without a system message in the line, use the command line's.
  if (!request.system.empty() && messages[0].role != Role::kSystem) {
    messages.insert(messages.begin(), {Role::kSystem, request.system});
  }
  return turns.Render(messages);
}

}  // namespace gemma::tools
