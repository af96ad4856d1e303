#include "src/text/turns/jinja_messages.h"

#include <string>
#include <utility>
#include <vector>

#include "src/base/format_text.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/text/turns/json_values.h"

namespace gemma::internal {
namespace {

// The content of a message: a string, or what its JSON says.
absl::StatusOr<JinjaValue> ContentOf(const Message& message, size_t i) {
  if (message.content_json.empty()) {
    return JinjaValue::String(message.text, TextOrigin::kMessage);
  }
  return ValueFromJson(message.content_json, FormatText("message %d", i));
}

// The calls of a message, as transformers gives them to a template.
absl::StatusOr<JinjaValue> CallsOf(const Message& message, size_t i) {
  const auto string = [](std::string_view text) {
    return JinjaValue::String(text, TextOrigin::kMessage);
  };
  std::vector<JinjaValue> calls;
  for (const ToolCall& call : message.tool_calls) {
    GEMMA_ASSIGN_OR_RETURN(
        JinjaValue arguments,
        ArgumentsFromJson(
            call.arguments,
            FormatText("message %d: arguments of %s", i, Quoted(call.name))));
    std::vector<std::pair<std::string, JinjaValue>> entries = {
        {"type", JinjaValue::String("function", TextOrigin::kTemplate)},
        {"function", JinjaValue::Dict({{"name", string(call.name)},
                                       {"arguments", std::move(arguments)}})}};
    if (!call.id.empty()) entries.emplace_back("id", string(call.id));
    calls.push_back(JinjaValue::Dict(std::move(entries)));
  }
  return JinjaValue::List(std::move(calls));
}

}  // namespace

absl::StatusOr<JinjaValue> MessageValue(const Message& message,
                                        std::string_view role, size_t i) {
  const auto string = [](std::string_view text) {
    return JinjaValue::String(text, TextOrigin::kMessage);
  };
  GEMMA_ASSIGN_OR_RETURN(JinjaValue content, ContentOf(message, i));
  std::vector<std::pair<std::string, JinjaValue>> entries = {
      {"role", JinjaValue::String(role, TextOrigin::kTemplate)},
      {"content", std::move(content)}};
  if (!message.thoughts.empty()) {
    entries.emplace_back("reasoning_content", string(message.thoughts));
  }
  if (!message.tool_calls.empty()) {
    GEMMA_ASSIGN_OR_RETURN(JinjaValue calls, CallsOf(message, i));
    entries.emplace_back("tool_calls", std::move(calls));
  }
  if (!message.tool_name.empty()) {
    entries.emplace_back("name", string(message.tool_name));
  }
  if (!message.call_id.empty()) {
    entries.emplace_back("tool_call_id", string(message.call_id));
  }
  return JinjaValue::Dict(std::move(entries));
}

}  // namespace gemma::internal
