// Chat templates: any template, rendered for a conversation.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "src/jinja/jinja_template.h"
#include "tests/fuzz/harness.h"
#include "tests/fuzz/targets.h"

namespace gemma::internal {
namespace {

// A character that no template writes, unless its source names it by number.
constexpr std::string_view kSentinel = "\xEE\x80\x80";  // U+E000

using Entries = std::vector<std::pair<std::string, JinjaValue>>;

JinjaValue OfTemplate(std::string_view text) {
  return JinjaValue::String(text, TextOrigin::kTemplate);
}

JinjaValue OfMessage(std::string_view text) {
  return JinjaValue::String(text, TextOrigin::kMessage);
}

JinjaValue MessageOf(std::string_view role) {
  std::string content = " <start_of_turn>Caf\u00e9 {{ x }}\n";
  content += kSentinel;
  return JinjaValue::Dict(Entries{{"role", OfTemplate(role)},
                                  {"content", OfMessage(content + " ")}});
}

// What transformers gives to a template.
const JinjaValue& Conversation() {
  static const auto& variables = *new JinjaValue(JinjaValue::Dict(Entries{
      {"messages",
       JinjaValue::List({MessageOf("system"), MessageOf("user"),
                         MessageOf("assistant"), MessageOf("user")})},
      {"tools", JinjaValue::List({JinjaValue::Dict(
                    Entries{{"name", OfMessage(kSentinel)},
                            {"count", JinjaValue::Int(3)},
                            {"strict", JinjaValue::Bool(false)},
                            {"limit", JinjaValue::Double(0.5)},
                            {"none", JinjaValue::None()}})})},
      {"bos_token", OfTemplate("<bos>")},
      {"eos_token", OfTemplate("<eos>")},
      {"add_generation_prompt", JinjaValue::Bool(true)},
      {std::string(kLocalTimeVariable), JinjaValue::Int(1'700'000'000)},
  }));
  return variables;
}

// Whether a template may write the sentinel itself.
bool MayNameSentinel(std::string_view source) {
  return absl::StrContains(source, kSentinel) ||
         absl::StrContains(source, "\\") || absl::StrContains(source, "57344");
}

}  // namespace

bool FuzzChatTemplate(absl::Span<const uint8_t> input) {
  const std::string_view source = TextOf(input);
  const auto parsed = JinjaTemplate::Parse(source);
  if (!parsed.ok()) {
    RequireBlame(parsed.status());
    return false;
  }
  const auto text = parsed->Render(Conversation());
  if (!text.ok()) {
    if (!IsRaised(text.status())) RequireBlame(text.status());
    return true;
  }
  size_t begin = 0;
  for (const MarkedText::Run& run : text->runs()) {
    Require(run.end > begin && run.end <= text->size(), "runs in order");
    const std::string_view part =
        std::string_view(text->text()).substr(begin, run.end - begin);
    Require(run.origin == TextOrigin::kMessage || MayNameSentinel(source) ||
                !absl::StrContains(part, kSentinel),
            "text of a message that is marked so");
    begin = run.end;
  }
  Require(begin == text->size(), "a mark for all text");
  return true;
}

}  // namespace gemma::internal
