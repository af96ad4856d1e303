// The turns of a chat template in Jinja.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "gemma/error_reason.h"
#include "src/base/format_text.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/jinja/run/jinja_template.h"
#include "src/text/tokenizer/tokenizer_impl.h"
#include "src/text/turns/chat_template_impl.h"
#include "src/text/turns/ignored_parts.h"
#include "src/text/turns/jinja_messages.h"
#include "src/text/turns/json_values.h"
#include "src/text/turns/marked_turns.h"
#include "src/text/turns/markers.h"

namespace gemma {
namespace {

using Messages = absl::Span<const Message>;

// What strftime_now shows.
int64_t LocalTime() {
  const std::time_t now = std::time(nullptr);
  std::tm local = {};
#ifdef _WIN32
  localtime_s(&local, &now);
  return _mkgmtime(&local);
#else
  localtime_r(&now, &local);
  return timegm(&local);
#endif
}

JinjaValue TemplateString(std::string_view text) {
  return JinjaValue::String(text, TextOrigin::kTemplate);
}

class JinjaTurns : public MarkedTurns {
 public:
  // `quick` is the same template as `jinja`, with small limits.
  JinjaTurns(const Tokenizer& tokenizer, JinjaTemplate jinja,
             JinjaTemplate quick, std::string_view name, TemplateTokens special)
      : MarkedTurns(tokenizer),
        jinja_(std::move(jinja)),
        quick_(std::move(quick)),
        special_(std::move(special)) {
    source = std::string(name);
  }

  // Learns from a few chats what the template does. `text` is its source.
  absl::Status Probe(std::string_view text) {
    GEMMA_RETURN_IF_ERROR(FindUserText());
    FindSystemRole(absl::StrContains(text, "developer"));
    FindEndOfTurn();
    FindMissingMarkers();
    FindTools();
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<TokenId>> Try(
      Messages messages, const ChatOptions& options) const override {
    return Encoded(Checked(messages, options, quick_));
  }

 protected:
  absl::StatusOr<MarkedText> Text(Messages messages,
                                  const ChatOptions& options) const override {
    return Checked(messages, options, jinja_);
  }

  absl::StatusOr<MarkedText> Beginning(
      Messages messages, const ChatOptions& options) const override {
    return Rendered(messages, options, jinja_);
  }

 private:
  absl::Status Failure(const absl::Status& status) const {
    if (IsRaised(status)) {
      return absl::InvalidArgumentError(
          FormatText("%s refuses these messages: %s", source,
                     Printable(status.message(), kMaxWords)));
    }
    return WithReason(absl::Status(status.code(), FormatText("%s: %s", source,
                                                             status.message())),
                      ErrorReason::kChatTemplate);
  }

  std::string_view RoleName(Role role) const {
    switch (role) {
      case Role::kSystem:
        return system_role_;
      case Role::kUser:
        return "user";
      case Role::kModel:
        return "assistant";
      case Role::kTool:
        return "tool";
      case Role::kDeveloper:
        return "developer";
    }
    return "";
  }

  // Renders a chat, and lets the template open the next turn of the model.
  absl::StatusOr<MarkedText> Rendered(Messages messages,
                                      const ChatOptions& options,
                                      const JinjaTemplate& jinja) const {
    std::vector<JinjaValue> list;
    for (size_t i = 0; i < messages.size(); ++i) {
      GEMMA_ASSIGN_OR_RETURN(
          list.emplace_back(),
          MessageValue(messages[i], RoleName(messages[i].role), i));
    }
    JinjaValue tools = JinjaValue::None();
    if (!options.tools.empty()) {
      GEMMA_ASSIGN_OR_RETURN(tools, ToolsFromJson(options.tools));
    }
    std::vector<std::pair<std::string, JinjaValue>> variables = {
        {"messages", JinjaValue::List(std::move(list))},
        {"tools", std::move(tools)},
        {"documents", JinjaValue::None()},
        {"add_generation_prompt", JinjaValue::Bool(true)},
        {std::string(kLocalTimeVariable), JinjaValue::Int(LocalTime())}};
    if (options.thinking.has_value()) {
      variables.emplace_back("enable_thinking",
                             JinjaValue::Bool(*options.thinking));
    }
    for (const auto& [name, text] : special_) {
      variables.emplace_back(name, TemplateString(text));
    }
    return jinja.Render(JinjaValue::Dict(std::move(variables)));
  }

  // As Rendered, but refuses chats that would lose a part.
  absl::StatusOr<MarkedText> Checked(Messages messages,
                                     const ChatOptions& options,
                                     const JinjaTemplate& jinja) const {
    if (messages.empty()) {
      return absl::InvalidArgumentError("0 messages, wanted one or more");
    }
    if (ignores_system_ &&
        std::any_of(messages.begin(), messages.end(), [](const auto& message) {
          return message.role == Role::kSystem;
        })) {
      return absl::InvalidArgumentError(FormatText(
          "%s ignores system messages: put instructions into a message of the "
          "user",
          source));
    }
    absl::StatusOr<MarkedText> text = Rendered(messages, options, jinja);
    if (!text.ok()) return Failure(text.status());
    GEMMA_RETURN_IF_ERROR(CheckUses(*text, messages, options, jinja));
    return text;
  }

  // An error if the template ignores tools, calls, results or the wish to
  // think: the text is then the same without them.
  absl::Status CheckUses(const MarkedText& text, Messages messages,
                         const ChatOptions& options,
                         const JinjaTemplate& jinja) const {
    const auto same = [&](Messages others, const ChatOptions& changed) {
      const auto other = Rendered(others, changed, jinja);
      return other.ok() && *other == text;
    };
    const auto ignored = [&](std::string_view what) {
      return absl::InvalidArgumentError(
          FormatText("%s ignores %s", source, what));
    };
    ChatOptions changed = options;
    changed.tools.clear();
    if (!options.tools.empty() && same(messages, changed)) {
      return ignored("declarations of tools");
    }
    changed = options;
    changed.thinking = false;
    if (options.thinking.value_or(false) && same(messages, changed)) {
      return absl::InvalidArgumentError(
          FormatText("%s has no thinking that could be turned on", source));
    }
    const std::string_view lost = IgnoredToolParts(
        messages, text,
        [&](Messages others) { return Rendered(others, options, jinja); });
    if (!lost.empty()) return ignored(lost);
    return absl::OkStatus();
  }

  // Whether the text of the first of two messages, of this role and of a user,
  // makes a difference; or the error of rendering them.
  absl::StatusOr<bool> Uses(Role role) const {
    return Differ([&](std::string_view text) {
      std::vector<Message> messages = {{role, std::string(text)}};
      if (role != Role::kUser) messages.push_back({Role::kUser, "question"});
      return messages;
    });
  }

  // Whether two texts, in the messages that `with` makes, make a difference.
  template <class Make>
  absl::StatusOr<bool> Differ(Make with) const {
    GEMMA_ASSIGN_OR_RETURN(const MarkedText a,
                           Rendered(with("Be brief."), {}, quick_));
    GEMMA_ASSIGN_OR_RETURN(const MarkedText b,
                           Rendered(with("Be kind."), {}, quick_));
    return a.text() != b.text();
  }

  // A message of a user in a list of parts, as TranslateGemma wants it.
  static Message PartsOf(std::string_view text) {
    Message message;
    message.content_json =
        absl::StrCat(R"([{"type": "text", "source_lang_code": "en",)",
                     R"("target_lang_code": "de", "text": ")", text, R"("}])");
    return message;
  }

  // A template may refuse strings, if it reads texts in lists of parts.
  absl::Status FindUserText() {
    const absl::StatusOr<bool> uses = Uses(Role::kUser);
    if (uses.ok() && *uses) return absl::OkStatus();
    if (!uses.ok() && IsRaised(uses.status())) {
      const absl::StatusOr<bool> uses_parts = Differ([](std::string_view text) {
        return std::vector<Message>{PartsOf(text)};
      });
      refuses_strings_ = uses_parts.ok() && *uses_parts;
      if (refuses_strings_) return absl::OkStatus();
    }
    if (!uses.ok()) {
      return WithReason(Failure(uses.status()), ErrorReason::kChatTemplate);
    }
    return WithReason(
        absl::InvalidArgumentError(FormatText(
            "%s ignores what a user says: it does not write a message's "
            "'content' where that is a text (some templates want a list of "
            "parts)",
            source)),
        ErrorReason::kChatTemplate);
  }

  // Some templates know instructions only as a developer's, and name that role.
  void FindSystemRole(bool names_developer) {
    const absl::StatusOr<bool> system = Uses(Role::kSystem);
    if (system.ok() && *system) return;
    if (!system.ok() && !IsRaised(system.status())) return;
    ignores_system_ = system.ok();
    if (!names_developer) return;
    const std::string_view name = std::exchange(system_role_, "developer");
    const absl::StatusOr<bool> developer = Uses(Role::kSystem);
    if (developer.ok() && *developer) {
      ignores_system_ = false;
    } else {
      system_role_ = name;
    }
  }

  // The control token that the template writes after an answer.
  void FindEndOfTurn() {
    std::vector<Message> messages = {{Role::kUser, "question"},
                                     {Role::kModel, "answer"},
                                     {Role::kUser, "again"}};
    if (refuses_strings_) messages[0] = messages[2] = PartsOf("question");
    const absl::StatusOr<MarkedText> text = Rendered(messages, {}, quick_);
    if (!text.ok()) return;
    const std::string_view all = text->text();
    size_t begin = 0;
    for (const MarkedText::Run& run : text->runs()) {
      const std::string_view part = all.substr(begin, run.end - begin);
      begin = run.end;
      if (run.origin == TextOrigin::kMessage &&
          Strip(part) == messages[1].text) {
        break;
      }
    }
    while (begin < all.size() && absl::ascii_isspace(all[begin])) ++begin;
    if (begin == all.size()) return;
    const MarkedText::Run& next = *RunAt(*text, begin);
    if (next.origin != TextOrigin::kTemplate) return;
    const PrefixMatcher::Entry* control =
        tokenizer().impl().MatchControl(all.substr(begin, next.end - begin));
    if (control != nullptr) end_of_turn = control->token;
  }

  // Whether the template writes declarations of tools.
  void FindTools() {
    tool_dialect = internal::ToolDialectOf(tokenizer());
    Message question = {Role::kUser, "question"};
    if (refuses_strings_) question = PartsOf("question");
    const ChatOptions tools = {
        .tools = R"([{"type": "function", "function": {"name": "look",
                     "description": "Looks.", "parameters": {
                     "type": "object", "properties": {}}}}])"};
    takes_tools = Checked({&question, 1}, tools, quick_).ok();
  }

  // The markers of a few chats that the vocabulary has no piece for.
  void FindMissingMarkers() {
    std::set<std::string_view> seen;
    std::vector<MarkedText> texts;
    const Message user = {Role::kUser, "question"};
    for (const std::vector<Message>& messages :
         {std::vector<Message>{user, {Role::kModel, "answer"}, user},
          std::vector<Message>{{Role::kSystem, "instruction"}, user}}) {
      absl::StatusOr<MarkedText> text = Rendered(messages, {}, quick_);
      if (text.ok()) texts.push_back(*std::move(text));
    }
    for (const MarkedText& text : texts) {
      size_t begin = 0;
      for (const MarkedText::Run& run : text.runs()) {
        const std::string_view part =
            std::string_view(text.text()).substr(begin, run.end - begin);
        begin = run.end;
        if (run.origin != TextOrigin::kTemplate) continue;
        for (const std::string_view marker : MarkersIn(part)) {
          const bool is_new = seen.insert(marker).second;
          if (is_new && !tokenizer().Find(marker).has_value()) {
            missing_markers.emplace_back(marker);
          }
        }
      }
    }
  }

  // Bytes of a template's own words in a message.
  static constexpr size_t kMaxWords = 400;

  const JinjaTemplate jinja_;
  const JinjaTemplate quick_;
  const TemplateTokens special_;
  std::string_view system_role_ = "system";
  bool ignores_system_ = false;
  bool refuses_strings_ = false;
};

}  // namespace

TemplateTokens internal::SpecialTokensOf(const Tokenizer& tokenizer) {
  const Vocabulary& vocabulary = tokenizer.impl().vocabulary();
  TemplateTokens special;
  const auto add = [&](const char* name, TokenId token) {
    if (token >= 0) special.emplace_back(name, tokenizer.Piece(token));
  };
  add("bos_token", vocabulary.bos);
  add("eos_token", vocabulary.eos);
  add("unk_token", vocabulary.unk);
  add("pad_token", vocabulary.pad);
  return special;
}

absl::StatusOr<ChatTemplateImpl> internal::MakeJinjaTurns(
    const Tokenizer& tokenizer, std::string_view source, std::string_view name,
    const TemplateTokens& special) {
  // Enough for some messages of a few words, in any published template.
  const JinjaLimits small = {.steps = 300'000,
                             .output_bytes = size_t{1} << 20,
                             .memory_bytes = size_t{16} << 20};
  absl::StatusOr<JinjaTemplate> jinja = JinjaTemplate::Parse(source);
  absl::StatusOr<JinjaTemplate> quick = JinjaTemplate::Parse(source, small);
  for (const absl::Status& status : {jinja.status(), quick.status()}) {
    if (status.ok()) continue;
    return WithReason(absl::Status(status.code(), FormatText("%s: %s", name,
                                                             status.message())),
                      ErrorReason::kChatTemplate);
  }
  auto turns = std::make_unique<JinjaTurns>(tokenizer, *std::move(jinja),
                                            *std::move(quick), name, special);
  GEMMA_RETURN_IF_ERROR(turns->Probe(source));
  return turns;
}

}  // namespace gemma
