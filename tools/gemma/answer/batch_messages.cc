#include "tools/gemma/answer/batch_messages.h"

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/io/json_line.h"

namespace gemma::tools {
namespace {

using InputJson = nlohmann::ordered_json;

absl::StatusOr<Role> RoleOf(std::string_view name) {
  if (name == "system") return Role::kSystem;
  if (name == "developer") return Role::kDeveloper;
  if (name == "user") return Role::kUser;
  if (name == "assistant" || name == "model") return Role::kModel;
  if (name == "tool") return Role::kTool;
  return absl::InvalidArgumentError(
      absl::StrCat("'role' is '", name,
                   "', wanted system, developer, user, assistant or tool"));
}

absl::Status ReadContent(const InputJson& json, Message* message) {
  if (json.is_string()) {
    message->text = json.get<std::string>();
  } else if (json.is_array() ||
             (message->role == Role::kTool && !json.is_null())) {
    message->content_json = json.dump();
  } else if (!json.is_null()) {
    return WrongType("content", json, "a string or a list of parts");
  }
  return absl::OkStatus();
}

// Reads the name and the arguments of a call.
absl::Status ReadFunction(const InputJson& json, ToolCall* call) {
  for (const auto& [name, value] : json.items()) {
    if (name == "name") {
      GEMMA_RETURN_IF_ERROR(ReadTextField(name, value, &call->name));
    } else if (name == "arguments") {
      if (!value.is_object() && !value.is_string()) {
        return WrongType(name, value, "an object");
      }
      call->arguments =
          value.is_string() ? value.get<std::string>() : value.dump();
    } else if (name != "id" && name != "type") {
      return absl::InvalidArgumentError(absl::StrCat(
          "a call has '", name, "', wanted 'id', 'name' and 'arguments'"));
    }
  }
  if (!call->name.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError("a call has no 'name'");
}

absl::Status ReadCalls(const InputJson& json, Message* message) {
  if (json.is_null()) return absl::OkStatus();
  if (!json.is_array()) return WrongType("tool_calls", json, "a list of calls");
  for (const InputJson& from : json) {
    if (!from.is_object())
      return WrongType("tool_calls", from, "objects in it");
    ToolCall call;
    if (const auto id = from.find("id"); id != from.end() && !id->is_null()) {
      GEMMA_RETURN_IF_ERROR(ReadTextField("id", *id, &call.id));
    }
    const auto function = from.find("function");
    const bool is_nested = function != from.end();
    if (is_nested && !function->is_object()) {
      return WrongType("function", *function, "an object");
    }
    GEMMA_RETURN_IF_ERROR(ReadFunction(is_nested ? *function : from, &call));
    message->tool_calls.push_back(std::move(call));
  }
  return absl::OkStatus();
}

absl::Status ReadMessage(const InputJson& json, Message* message) {
  std::string role;
  if (const auto found = json.find("role"); found != json.end()) {
    GEMMA_RETURN_IF_ERROR(ReadTextField("role", *found, &role));
  }
  GEMMA_ASSIGN_OR_RETURN(message->role, RoleOf(role));
  const bool of_model = message->role == Role::kModel;
  const bool of_tool = message->role == Role::kTool;
  for (const auto& [name, value] : json.items()) {
    if (name == "role") continue;
    if (name == "content") {
      GEMMA_RETURN_IF_ERROR(ReadContent(value, message));
    } else if (of_model && name == "tool_calls") {
      GEMMA_RETURN_IF_ERROR(ReadCalls(value, message));
    } else if (of_model &&
               (name == "thoughts" || name == "reasoning_content")) {
      GEMMA_RETURN_IF_ERROR(ReadTextField(name, value, &message->thoughts));
    } else if (of_tool && name == "name") {
      GEMMA_RETURN_IF_ERROR(ReadTextField(name, value, &message->tool_name));
    } else if (of_tool && name == "tool_call_id") {
      GEMMA_RETURN_IF_ERROR(ReadTextField(name, value, &message->call_id));
    } else {
      return absl::InvalidArgumentError(absl::StrCat(
          "a message of the role '", role, "' has '", name, "', wanted ",
          of_model  ? "'content', 'thoughts' and 'tool_calls'"
          : of_tool ? "'content', 'name' and 'tool_call_id'"
                    : "'role' and 'content'"));
    }
  }
  const bool has_content =
      json.contains("content") && !json["content"].is_null();
  if (has_content || !message->tool_calls.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "a message has no 'content', wanted 'role' and 'content'");
}

}  // namespace

absl::Status ReadMessages(const InputJson& json,
                          std::vector<Message>* messages) {
  if (!json.is_array()) {
    return WrongType("messages", json, "an array of messages");
  }
  if (json.empty()) {
    return absl::InvalidArgumentError(
        "'messages' is empty, wanted one message or more");
  }
  for (const InputJson& from : json) {
    if (!from.is_object()) return WrongType("messages", from, "objects in it");
    GEMMA_RETURN_IF_ERROR(ReadMessage(from, &messages->emplace_back()));
  }
  return absl::OkStatus();
}

}  // namespace gemma::tools
