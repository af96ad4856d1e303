// Chat templates: any template, rendered for a conversation.

#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "src/jinja/run/jinja_template.h"
#include "tests/fuzz/harness.h"
#include "tests/fuzz/targets.h"

namespace gemma::internal {
namespace {

// A character of the messages that shows where their text went.
struct Sentinel {
  std::string_view text;
  std::string_view digits;  // in an escape, \uXXXX or \U00XXXXXX
};

// Each begins with a different byte. Python prints only the first two as they
// are.
constexpr Sentinel kSentinels[] = {{"\xE4\xB8\x99", "4e19"},
                                   {"\xF0\xA0\x80\x80", "20000"},
                                   {"\xEE\x80\x80", "e000"},
                                   {"\xF4\x80\x80\x80", "100000"}};

// Whether a template may write the sentinel itself. It needs the bytes, perhaps
// in parts, or an escape with the digits: no function makes characters of
// numbers, and these characters have no case.
bool MayWrite(std::string_view source, const Sentinel& sentinel) {
  return absl::StrContains(source, sentinel.text[0]) ||
         absl::StrContainsIgnoreCase(source, sentinel.digits);
}

using Entries = std::vector<std::pair<std::string, JinjaValue>>;

JinjaValue OfTemplate(std::string_view text) {
  return JinjaValue::String(text, TextOrigin::kTemplate);
}

JinjaValue OfMessage(std::string_view text) {
  return JinjaValue::String(text, TextOrigin::kMessage);
}

JinjaValue MessageOf(std::string_view role, std::string_view sentinel,
                     Entries more = {}) {
  std::string content = " <start_of_turn>Caf\u00e9 {{ x }}\n";
  content += sentinel;
  more.emplace_back("role", OfTemplate(role));
  more.emplace_back("content", OfMessage(content + " "));
  return JinjaValue::Dict(std::move(more));
}

// Thoughts and a call of a tool.
Entries CallOf(std::string_view sentinel) {
  JinjaValue arguments = JinjaValue::Dict(
      Entries{{"city", OfMessage(sentinel)},
              {"days", JinjaValue::List({JinjaValue::Int(2)})}});
  JinjaValue call = JinjaValue::Dict(Entries{
      {"type", OfTemplate("function")},
      {"id", OfMessage("call_1")},
      {"function",
       JinjaValue::Dict(Entries{{"name", OfMessage(sentinel)},
                                {"arguments", std::move(arguments)}})}});
  return {{"reasoning_content", OfMessage(sentinel)},
          {"tool_calls", JinjaValue::List({std::move(call)})}};
}

// What transformers gives to a template.
JinjaValue ConversationWith(std::string_view sentinel) {
  return JinjaValue::Dict(Entries{
      {"messages",
       JinjaValue::List({MessageOf("system", sentinel),
                         MessageOf("user", sentinel),
                         MessageOf("assistant", sentinel, CallOf(sentinel)),
                         MessageOf("tool", sentinel,
                                   {{"name", OfMessage(sentinel)},
                                    {"tool_call_id", OfMessage("call_1")}}),
                         MessageOf("user", sentinel)})},
      {"tools", JinjaValue::List({JinjaValue::Dict(
                    Entries{{"name", OfMessage(sentinel)},
                            {"count", JinjaValue::Int(3)},
                            {"strict", JinjaValue::Bool(false)},
                            {"limit", JinjaValue::Double(0.5)},
                            {"none", JinjaValue::None()}})})},
      {"bos_token", OfTemplate("<bos>")},
      {"eos_token", OfTemplate("<eos>")},
      {"add_generation_prompt", JinjaValue::Bool(true)},
      {"enable_thinking", JinjaValue::Bool(true)},
      {std::string(kLocalTimeVariable), JinjaValue::Int(1'700'000'000)},
  });
}

// A conversation whose sentinel the template cannot write. If it may write all
// of them, `is_sure` is false.
struct Conversation {
  const Sentinel& sentinel;
  const JinjaValue& variables;
  bool is_sure;
};

Conversation ConversationFor(absl::Span<const uint8_t> source) {
  static const auto& conversations = *[] {
    auto* all = new std::vector<JinjaValue>;
    for (const Sentinel& sentinel : kSentinels) {
      all->push_back(ConversationWith(sentinel.text));
    }
    return all;
  }();
  const size_t first = HashOf(source) % std::size(kSentinels);
  for (size_t i = 0; i < std::size(kSentinels); ++i) {
    const size_t at = (first + i) % std::size(kSentinels);
    if (!MayWrite(TextOf(source), kSentinels[at])) {
      return {kSentinels[at], conversations[at], true};
    }
  }
  return {kSentinels[first], conversations[first], false};
}

}  // namespace

bool FuzzChatTemplate(absl::Span<const uint8_t> input) {
  const std::string_view source = TextOf(input);
  const auto parsed = JinjaTemplate::Parse(source);
  if (!parsed.ok()) {
    RequireBlame(parsed.status());
    return false;
  }
  const Conversation conversation = ConversationFor(input);
  const auto text = parsed->Render(conversation.variables);
  if (!text.ok()) {
    if (!IsRaised(text.status())) RequireBlame(text.status());
    return true;
  }
  size_t begin = 0;
  for (const MarkedText::Run& run : text->runs()) {
    Require(run.end > begin && run.end <= text->size(), "runs in order");
    const std::string_view part =
        std::string_view(text->text()).substr(begin, run.end - begin);
    Require(run.origin == TextOrigin::kMessage || !conversation.is_sure ||
                !absl::StrContains(part, conversation.sentinel.text),
            "text of a message that is marked so");
    begin = run.end;
  }
  Require(begin == text->size(), "a mark for all text");
  return true;
}

}  // namespace gemma::internal
