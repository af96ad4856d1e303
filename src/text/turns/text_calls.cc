#include "src/text/turns/text_calls.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/json_escape.h"
#include "src/base/status_macros.h"
#include "src/jinja/values/meter.h"
#include "src/jinja/values/to_json.h"
#include "src/text/tokenizer/control_names.h"
#include "src/text/turns/json_values.h"

namespace gemma::internal {
namespace {

// What declares tools. The form of a call is the one of Google's page on
// function calling with Gemma.
constexpr std::string_view kBeforeTools =
    "You can call the functions below. To call one, answer with nothing but a "
    "JSON object {\"name\": its name, \"parameters\": an object with its "
    "arguments}. To call several, write one such object on each line. The "
    "functions:\n";

absl::StatusOr<std::string> JsonOf(const JinjaValue& value) {
  Meter meter(JinjaLimits{});
  MarkedText text;
  GEMMA_RETURN_IF_ERROR(AppendJson(value, JsonStyle(), meter, text));
  return text.text();
}

// The declarations, each on a line.
absl::StatusOr<std::string> Declarations(std::string_view json) {
  GEMMA_ASSIGN_OR_RETURN(const JinjaValue tools, ToolsFromJson(json));
  std::vector<std::string> lines;
  for (const JinjaValue& tool : tools.items()) {
    GEMMA_ASSIGN_OR_RETURN(lines.emplace_back(),
                           JsonOf(*tool.Find("function")));
  }
  return absl::StrCat(kBeforeTools, absl::StrJoin(lines, "\n"));
}

std::string CompactName(std::string_view name) {
  std::string json = "\"";
  for (const char c : name) {
    const std::string escape = JsonEscape(static_cast<uint8_t>(c));
    json += escape.empty() ? std::string(1, c) : escape;
  }
  return json + "\"";
}

// JSON with one blank after each comma and colon, as the models write calls.
std::string WithBlanks(std::string_view json) {
  std::string spaced;
  bool in_string = false;
  bool is_escaped = false;
  for (const char c : json) {
    if (in_string) {
      in_string = is_escaped || c != '"';
      is_escaped = !is_escaped && c == '\\';
    } else if (absl::ascii_isspace(static_cast<unsigned char>(c))) {
      continue;
    } else {
      in_string = c == '"';
    }
    spaced += c;
    if (!in_string && (c == ',' || c == ':')) spaced += ' ';
  }
  return spaced;
}

void Join(Message& first, const Message& second) {
  absl::StrAppend(&first.text,
                  first.text.empty() || second.text.empty() ? "" : "\n\n",
                  second.text);
}

bool IsPlainUser(const Message& message) {
  return message.role == Role::kUser && message.content_json.empty();
}

}  // namespace

void WriteCallsAsText(Message& message) {
  for (const ToolCall& call : std::exchange(message.tool_calls, {})) {
    absl::StrAppend(&message.text, message.text.empty() ? "" : "\n",
                    "{\"name\": ", CompactName(call.name), ", \"parameters\": ",
                    call.arguments.empty() ? "{}" : WithBlanks(call.arguments),
                    "}");
    message.content_json.clear();
  }
  if (message.role != Role::kTool) return;
  message.role = Role::kUser;
  if (message.text.empty()) message.text = message.content_json;
  message.content_json.clear();
  message.tool_name.clear();
  message.call_id.clear();
}

bool HasTools(absl::Span<const Message> messages, const ChatOptions& options) {
  return !options.tools.empty() ||
         std::any_of(messages.begin(), messages.end(), [](const Message& each) {
           return each.role == Role::kTool || !each.tool_calls.empty();
         });
}

absl::StatusOr<TextChat> WithToolsAsText(absl::Span<const Message> messages,
                                         size_t num_read,
                                         const ChatOptions& options) {
  TextChat chat;
  std::vector<Message>& written = chat.messages;
  if (!options.tools.empty()) {
    GEMMA_ASSIGN_OR_RETURN(std::string text, Declarations(options.tools));
    written.push_back({Role::kSystem, std::move(text)});
  }
  for (size_t i = 0; i < messages.size(); ++i) {
    Message message = messages[i];
    const bool was_result = message.role == Role::kTool;
    WriteCallsAsText(message);
    const bool leads =
        i == 0 && !written.empty() &&
        (message.role == Role::kSystem || message.role == Role::kDeveloper) &&
        (message.content_json.empty() || !message.text.empty());
    if (leads) {
      message.content_json.clear();
      Join(message, written.back());
      written.back() = std::move(message);
    } else if (i > 0 && !written.empty() && IsPlainUser(message) &&
               IsPlainUser(written.back()) &&
               (was_result || messages[i - 1].role == Role::kTool)) {
      Join(written.back(), message);
    } else {
      written.push_back(std::move(message));
    }
    if (i + 1 == num_read) chat.num_read = written.size();
  }
  return chat;
}

// Whether the held text begins a line that begins calls.
bool CallFinder::MayBeFence() const {
  if (!at_line_) return false;
  return absl::StartsWith(kLaterFence, held_) ||
         (at_begin_ && absl::StartsWith(kCallFences[0], held_));
}

bool CallFinder::Take(char c, std::string& text) {
  if (at_begin_ && held_.empty() && c == '{') return true;
  held_ += c;
  if (MayBeFence()) {
    for (const std::string_view fence : kCallFences) {
      if (held_ != fence) continue;
      fence_ = fence;
      held_.clear();
      return true;
    }
    return false;
  }
  text += std::exchange(held_, "");
  at_begin_ = false;
  at_line_ = c == '\n';
  return false;
}

std::string CallFinder::Finish() { return std::exchange(held_, ""); }

}  // namespace gemma::internal
