#include "src/serve/request/chat_messages.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/serve/answer/json_writer.h"
#include "src/serve/request/fields.h"
#include "src/text/tokenizer/token_writer.h"
#include "src/text/turns/chat_template_impl.h"
#include "src/text/turns/json_values.h"
#include "src/text/turns/text_calls.h"

namespace gemma::internal {
namespace {

absl::Status ReadRole(Fields& fields, Role& role) {
  std::string name;
  GEMMA_RETURN_IF_ERROR(fields.ReadRequired("role", name));
  if (name == "system") {
    role = Role::kSystem;
  } else if (name == "developer") {
    role = Role::kDeveloper;
  } else if (name == "user") {
    role = Role::kUser;
  } else if (name == "assistant" || name == "model") {
    role = Role::kModel;
  } else if (name == "tool") {
    role = Role::kTool;
  } else {
    return FieldError(
        *fields.json().Find("role"),
        absl::StrCat("is ", Quoted(name),
                     ", wanted system, developer, user, assistant or tool"));
  }
  return absl::OkStatus();
}

absl::Status ReadPart(const Json& json, std::string& text) {
  GEMMA_ASSIGN_OR_RETURN(Fields fields, Fields::Of(json));
  std::string type;
  GEMMA_RETURN_IF_ERROR(fields.ReadRequired("type", type));
  if (type != "text") {
    // The name of such a field is usually that of its type: image_url.
    const std::optional<Json> part = json.Find(type);
    return FieldError(
        part.value_or(json),
        absl::StrCat("is a part of the type ", Quoted(type),
                     ", wanted 'text': this server reads only texts"));
  }
  std::string_view part;
  const std::optional<Json> field = fields.Take("text");
  if (!field.has_value()) return fields.Missing("text");
  GEMMA_RETURN_IF_ERROR(AtField(field->Get(part), *field));
  absl::StrAppend(&text, part);
  fields.Ignore({"cache_control"});
  return fields.RefuseOthers();
}

// Reads a content. Templates join the parts of a list in their own ways, so
// they also get the list.
absl::Status ReadContent(const Json& json, Message& message) {
  GEMMA_RETURN_IF_ERROR(ReadTextContent(json, message.text));
  if (json.is_array() && json.size() > 1 && message.role != Role::kTool) {
    message.content_json = CompactJson(json);
  }
  return absl::OkStatus();
}

absl::Status ReadCall(const Json& json, ToolCall& call) {
  GEMMA_ASSIGN_OR_RETURN(Fields fields, Fields::Of(json));
  GEMMA_RETURN_IF_ERROR(fields.Read("id", call.id));
  fields.Ignore({"type", "index"});
  const std::optional<Json> function = fields.Take("function");
  GEMMA_RETURN_IF_ERROR(fields.RefuseOthers());
  if (!function.has_value()) return fields.Missing("function");
  GEMMA_ASSIGN_OR_RETURN(Fields parts, Fields::Of(*function));
  GEMMA_RETURN_IF_ERROR(parts.ReadRequired("name", call.name));
  const std::optional<Json> arguments = parts.Take("arguments");
  GEMMA_RETURN_IF_ERROR(parts.RefuseOthers());
  if (!arguments.has_value()) return absl::OkStatus();
  if (arguments->is_object()) {
    call.arguments = CompactJson(*arguments);
    return absl::OkStatus();
  }
  GEMMA_RETURN_IF_ERROR(AtField(arguments->Get(call.arguments), *arguments));
  const std::string what = absl::StrCat("'", ParamOf(*arguments), "'");
  return AtField(ArgumentsFromJson(call.arguments, what).status(), *arguments);
}

absl::Status ReadModelParts(Fields& fields, Message& message) {
  GEMMA_RETURN_IF_ERROR(fields.Read("reasoning_content", message.thoughts));
  GEMMA_RETURN_IF_ERROR(fields.Read("reasoning", message.thoughts));
  if (const std::optional<Json> calls = fields.Take("tool_calls");
      calls.has_value()) {
    if (!calls->is_array()) {
      return AtField(calls->Unexpected("a list of calls"), *calls);
    }
    for (const Json& call : calls->Elements()) {
      GEMMA_RETURN_IF_ERROR(ReadCall(call, message.tool_calls.emplace_back()));
    }
  }
  // Sources of the text, which clients send back.
  fields.Ignore({"annotations"});
  return absl::OkStatus();
}

absl::Status ReadMessage(const Json& json, Message& message) {
  GEMMA_ASSIGN_OR_RETURN(Fields fields, Fields::Of(json));
  GEMMA_RETURN_IF_ERROR(ReadRole(fields, message.role));
  const std::optional<Json> content = fields.Take("content");
  if (content.has_value()) {
    GEMMA_RETURN_IF_ERROR(ReadContent(*content, message));
  }
  if (message.role == Role::kModel) {
    GEMMA_RETURN_IF_ERROR(ReadModelParts(fields, message));
  } else if (message.role == Role::kTool) {
    GEMMA_RETURN_IF_ERROR(fields.Read("name", message.tool_name));
    GEMMA_RETURN_IF_ERROR(fields.Read("tool_call_id", message.call_id));
  }
  GEMMA_RETURN_IF_ERROR(fields.RefuseOthers());
  if (content.has_value() || !message.tool_calls.empty()) {
    return absl::OkStatus();
  }
  return fields.Missing("content");
}

// ---------------------------------------------------------------------------
// Turns

bool IsInstruction(const Message& message) {
  return message.role == Role::kSystem || message.role == Role::kDeveloper;
}

// Whether both become one turn of the same author.
bool Joins(const Message& first, const Message& second) {
  if (IsInstruction(first) && IsInstruction(second)) return true;
  if (first.role != second.role || first.role == Role::kTool) return false;
  return first.tool_calls.empty();
}

void Join(Message& first, Message second) {
  first.content_json.clear();
  absl::StrAppend(&first.text,
                  first.text.empty() || second.text.empty() ? "" : "\n\n",
                  second.text);
  if (first.thoughts.empty()) first.thoughts = std::move(second.thoughts);
  first.tool_calls = std::move(second.tool_calls);
}

// Puts the results [begin, end) in the order of the calls before them, if each
// has the id of one.
void OrderResults(const std::vector<ToolCall>& calls, Message* begin,
                  Message* end) {
  std::map<std::string_view, size_t> places;
  for (const ToolCall& call : calls) places.emplace(call.id, places.size());
  for (const Message* result = begin; result != end; ++result) {
    if (result->call_id.empty() || !places.contains(result->call_id)) return;
  }
  std::stable_sort(begin, end, [&](const Message& a, const Message& b) {
    return places.at(a.call_id) < places.at(b.call_id);
  });
}

void OrderAllResults(std::vector<Message>& messages) {
  for (size_t i = 0; i < messages.size(); ++i) {
    if (messages[i].tool_calls.empty()) continue;
    size_t end = i + 1;
    while (end < messages.size() && messages[end].role == Role::kTool) ++end;
    OrderResults(messages[i].tool_calls, messages.data() + i + 1,
                 messages.data() + end);
  }
}

// Refuses results that no call before them asked for.
absl::Status CheckResults(const std::vector<Message>& messages) {
  std::set<std::string_view> ids;
  bool has_calls = false;
  for (size_t i = 0; i < messages.size(); ++i) {
    for (const ToolCall& call : messages[i].tool_calls) {
      has_calls = true;
      ids.insert(call.id);
    }
    if (messages[i].role != Role::kTool) continue;
    const std::string& id = messages[i].call_id;
    if (!has_calls) {
      return absl::InvalidArgumentError(FormatText(
          "message %u is the result of a tool, but no message before it has "
          "calls",
          i));
    }
    if (id.empty() || ids.contains(id)) continue;
    return absl::InvalidArgumentError(
        FormatText("message %u has the call_id %s, which no call before it has",
                   i, Quoted(id)));
  }
  return absl::OkStatus();
}

// Calls and results as text; see InTurns.
void WriteAsText(Message& message) {
  if (message.role == Role::kDeveloper) message.role = Role::kSystem;
  WriteCallsAsText(message);
}

// Gemma 1 to 3 read instructions only as the beginning of the user's first
// message, so those of a chat that has no other message become one.
void AskInstructions(std::vector<Message>& messages) {
  if (messages.size() == 1 && IsInstruction(messages[0])) {
    messages[0].role = Role::kUser;
  }
}

}  // namespace

absl::Status ReadTextContent(const Json& json, std::string& text) {
  if (json.is_string()) return AtField(json.Get(text), json);
  if (!json.is_array()) {
    return AtField(json.Unexpected("a string or a list of parts"), json);
  }
  for (const Json& part : json.Elements()) {
    GEMMA_RETURN_IF_ERROR(ReadPart(part, text));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Message>> ReadMessages(const Json& list) {
  if (!list.is_array()) {
    return AtField(list.Unexpected("a list of messages"), list);
  }
  if (list.size() == 0) {
    return FieldError(list, "is empty, wanted one message or more");
  }
  std::vector<Message> messages;
  for (const Json& json : list.Elements()) {
    GEMMA_RETURN_IF_ERROR(ReadMessage(json, messages.emplace_back()));
  }
  return messages;
}

std::vector<Message> InTurns(std::vector<Message> messages, bool has_tools) {
  if (!has_tools) OrderAllResults(messages);
  std::vector<Message> turns;
  for (Message& message : messages) {
    if (!has_tools) WriteAsText(message);
    if (IsInstruction(message) && !turns.empty() &&
        !IsInstruction(turns.back())) {
      message.role = Role::kUser;
    }
    if (!turns.empty() && Joins(turns.back(), message)) {
      Join(turns.back(), std::move(message));
    } else {
      turns.push_back(std::move(message));
    }
  }
  return turns;
}

absl::StatusOr<std::vector<TokenId>> ChatTokens(const Tokenizer& tokenizer,
                                                const ChatTemplate& turns,
                                                std::vector<Message> messages,
                                                const ChatOptions& options) {
  // Gemma 1 to 3 have no marks for calls. A template in Jinja knows itself what
  // it can write.
  const bool has_tools =
      turns.impl().takes_tools ||
      (!turns.is_gemma() && turns.tool_dialect() != ToolDialect::kJson);
  if (!has_tools) GEMMA_RETURN_IF_ERROR(CheckResults(messages));
  messages = InTurns(std::move(messages), has_tools);
  const bool is_open = messages.back().role == Role::kModel &&
                       messages.back().tool_calls.empty();
  if (!is_open) {
    if (!has_tools) AskInstructions(messages);
    return turns.Render(messages, options);
  }
  const std::string text = std::move(messages.back().text);
  if (!messages.back().thoughts.empty()) {
    return absl::InvalidArgumentError(
        "the last message is of the assistant and has thoughts, and only a "
        "text can be continued");
  }
  messages.pop_back();
  if (messages.empty()) {
    return absl::InvalidArgumentError(
        "the only message is the assistant's, wanted one of the user too");
  }
  if (!has_tools) AskInstructions(messages);
  GEMMA_ASSIGN_OR_RETURN(std::vector<TokenId> tokens,
                         turns.Render(messages, options));
  TokenWriter begun(tokenizer);
  begun.ExactText(text);
  GEMMA_ASSIGN_OR_RETURN(const std::vector<TokenId> rest, begun.Release());
  tokens.insert(tokens.end(), rest.begin(), rest.end());
  return tokens;
}

}  // namespace gemma::internal
