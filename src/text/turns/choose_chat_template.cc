#include "src/text/turns/choose_chat_template.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gemma/error_reason.h"
#include "src/base/json.h"
#include "src/base/listing.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/formats/chat_template_files.h"
#include "src/formats/wrong_file.h"
#include "src/os/mapped_file.h"
#include "src/os/stream.h"
#include "src/text/turns/chat_template_impl.h"

namespace gemma::internal {
namespace {

// More than any template.
constexpr size_t kMaxTemplateBytes = size_t{16} << 20;

// A chat that two templates may turn into different tokens.
struct Sample {
  std::string_view what;
  std::vector<Message> messages;
  ChatOptions options = {};
};

std::vector<Sample> Samples() {
  const Message ask = {Role::kUser, "What is it?"};
  const Message answer = {Role::kModel, "It is this."};
  const Message system = {Role::kSystem, "Be brief."};
  return {{"a user's message", {ask}},
          {"an answer", {ask, answer, ask}},
          {"a system message", {system, ask}},
          {"a system message before an answer", {system, ask, answer, ask}},
          {"blanks around a text",
           {{Role::kUser, " \n a\n"}, {Role::kModel, "\nb "}, ask}},
          {"blanks around a system message", {{Role::kSystem, " a\n"}, ask}},
          {"an empty text", {{Role::kUser, ""}, {Role::kModel, ""}, ask}}};
}

// The same for turns with thinking and tools, if a template knows them.
std::vector<Sample> SamplesWithTools() {
  const Message ask = {Role::kUser, "What is it?"};
  const Message answer = {Role::kModel, "It is this."};
  const Message system = {Role::kSystem, "Be brief."};
  const Message call = {
      .role = Role::kModel,
      .thoughts = "I look.",
      .tool_calls = {
          {"look", R"({"Where": "there", "at": [1, true, "b"]})", "1"}}};
  const Message result = {
      .role = Role::kTool, .text = "this", .tool_name = "look", .call_id = "1"};
  const ChatOptions tools = {.tools = R"([{"type": "function", "function": {
      "name": "look", "description": "Looks.", "parameters": {
        "type": "object", "required": ["where"], "properties": {
          "where": {"type": "string", "description": "A place",
                    "enum": ["here", "there"]},
          "at": {"type": "array", "items": {"type": "string"}},
          "how": {"type": "object", "nullable": true,
                  "properties": {"deep": {"type": "number"}}}}}}}])"};
  return {
      {"the wish to think", {ask}, {.thinking = true}},
      {"the wish not to think", {ask}, {.thinking = false}},
      {"the wish to think and a system message",
       {system, ask, answer, ask},
       {.thinking = true}},
      {"declarations of tools", {ask}, tools},
      {"declarations of tools and a system message", {system, ask}, tools},
      {"a call of a tool", {ask, call}, tools},
      {"the result of a tool", {ask, call, result}, tools},
      {"an answer after a result", {ask, call, result, answer, ask}, tools}};
}

// Returns what the templates turn into different tokens, or "" if nothing.
std::string_view Difference(const ChatTemplate::Impl& jinja,
                            const ChatTemplate::Impl& gemma) {
  std::vector<Sample> samples = Samples();
  for (Sample& sample : SamplesWithTools()) samples.push_back(sample);
  for (const Sample& sample : samples) {
    const auto wanted = jinja.Try(sample.messages, sample.options);
    // A refusal has no reason. Other failures must not be hidden.
    const bool refused = absl::IsInvalidArgument(wanted.status()) &&
                         ReasonOf(wanted.status()) == ErrorReason::kNone;
    if (refused) continue;
    const auto own = gemma.Render(sample.messages, sample.options);
    if (!wanted.ok() || !own.ok() || *wanted != *own) return sample.what;
  }
  return "";
}

// Adds a token that tokenizer_config.json names, as a text or an object.
void AddName(std::string_view name, const Json& value,
             TemplateTokens& special) {
  if (!absl::EndsWith(name, "_token")) return;
  std::string text;
  const absl::Status status =
      value.is_object() ? value.ReadRequired("content", text) : value.Get(text);
  if (!status.ok()) return;  // add_bos_token and the like
  special.emplace_back(name, std::move(text));
}

// Keeps the last token of each name, and sorts by names.
void KeepLast(TemplateTokens& special) {
  const auto same = [](const auto& a, const auto& b) {
    return a.first == b.first;
  };
  std::reverse(special.begin(), special.end());
  std::stable_sort(
      special.begin(), special.end(),
      [](const auto& a, const auto& b) { return a.first < b.first; });
  special.erase(std::unique(special.begin(), special.end(), same),
                special.end());
}

// The variables for tokens that transformers gives to a template.
TemplateTokens SpecialTokens(const Checkpoint& checkpoint,
                             const Tokenizer& tokenizer) {
  TemplateTokens special = SpecialTokensOf(tokenizer);
  if (!checkpoint.tokenizer_config.has_value()) return special;
  for (const auto& [name, value] : checkpoint.tokenizer_config->Members()) {
    if (name == "extra_special_tokens" ||
        name == "model_specific_special_tokens") {
      for (const auto& [extra, text] : value.Members()) {
        AddName(extra, text, special);
      }
    } else {
      AddName(name, value, special);
    }
  }
  KeepLast(special);
  return special;
}

// The error of a template that cannot be read. A file that is not itself has a
// reason, and a cure, of its own.
absl::Status Unreadable(const absl::Status& status) {
  const bool is_other = ReasonOf(status) == ErrorReason::kLfsPointer ||
                        ReasonOf(status) == ErrorReason::kWebPage;
  return is_other ? status : WithReason(status, ErrorReason::kChatTemplate);
}

absl::StatusOr<ChatTemplateImpl> FromFile(const std::string& path,
                                          const Tokenizer& tokenizer,
                                          const TemplateTokens& special) {
  if (IsStream(path)) {
    const absl::StatusOr<std::string> text =
        ReadStream(path, kMaxTemplateBytes);
    if (!text.ok()) return Unreadable(text.status());
    return MakeJinjaTurns(tokenizer, *text, path, special);
  }
  const absl::StatusOr<MappedFile> file = OpenModelFile(path);
  if (!file.ok()) return Unreadable(file.status());
  return MakeJinjaTurns(tokenizer, file->text(), path, special);
}

absl::StatusOr<ChatTemplateImpl> FromText(
    const std::vector<ChatTemplateText>& templates, const Tokenizer& tokenizer,
    const TemplateTokens& special) {
  const ChatTemplateText& first = templates[0];
  if (first.name == kDefaultTemplate) {
    return MakeJinjaTurns(tokenizer, first.text, first.where, special);
  }
  return WithReason(
      absl::NotFoundError(absl::StrCat(
          first.where, ": the chat template is called ", Quoted(first.name),
          ", wanted one called '", kDefaultTemplate, "'")),
      ErrorReason::kChatTemplate);
}

ChatTemplateImpl With(ChatTemplateImpl impl, std::string_view reason) {
  impl->reason = std::string(reason);
  return impl;
}

// Gemma's own turns, as the model's size has them or otherwise.
absl::StatusOr<ChatTemplateImpl> OwnTurns(const Tokenizer& tokenizer,
                                          const WantedTurns& wanted,
                                          bool otherwise = false) {
  return MakeGemmaTurns(tokenizer, wanted.empty_thought != otherwise);
}

// Gemma's own turns that make the same tokens of a user's message as a template
// of the files: those templates differ in the empty thought.
absl::StatusOr<ChatTemplateImpl> OwnTurnsLike(const ChatTemplate::Impl& jinja,
                                              const Tokenizer& tokenizer,
                                              const WantedTurns& wanted) {
  const std::vector<Message> ask = {{Role::kUser, "What is it?"}};
  const auto tokens = jinja.Try(ask, {});
  GEMMA_ASSIGN_OR_RETURN(ChatTemplateImpl other,
                         OwnTurns(tokenizer, wanted, /*otherwise=*/true));
  const auto own = other->Render(ask, {});
  if (tokens.ok() && own.ok() && *tokens == *own) return other;
  return OwnTurns(tokenizer, wanted);
}

// Removes templates without text, as programs write them that have none.
void RemoveEmpty(std::vector<ChatTemplateText>& templates,
                 std::vector<std::string>& notes) {
  const auto is_empty = [](const ChatTemplateText& each) {
    return Strip(each.text).empty();
  };
  const auto first = std::find_if(templates.begin(), templates.end(), is_empty);
  if (first == templates.end()) return;
  notes.push_back(absl::StrCat(
      first->where, ": the chat template is empty, and counts as absent"));
  std::erase_if(templates, is_empty);
}

void NoteMissingMarkers(const ChatTemplate::Impl& turns,
                        std::vector<std::string>& notes) {
  if (turns.missing_markers.empty()) return;
  constexpr size_t kMost = 5;
  notes.push_back(absl::StrCat(
      turns.source, ": the chat template writes ",
      QuotedListing(turns.missing_markers, kMost),
      ", which the vocabulary lacks: the model reads them as plain text"));
}

absl::StatusOr<ChatTemplateImpl> Choose(const Checkpoint& checkpoint,
                                        const Tokenizer& tokenizer,
                                        const WantedTurns& wanted,
                                        std::vector<std::string>& notes) {
  const TemplateTokens special = SpecialTokens(checkpoint, tokenizer);
  if (!wanted.path.empty()) {
    return FromFile(wanted.path, tokenizer, special);
  }
  absl::StatusOr<ChatTemplateImpl> gemma = OwnTurns(tokenizer, wanted);
  absl::StatusOr<std::vector<ChatTemplateText>> templates =
      ReadChatTemplates(checkpoint);
  if (wanted.of_gemma) {
    GEMMA_RETURN_IF_ERROR(gemma.status());
    if (templates.ok() && !templates->empty()) {
      const auto jinja = FromText(*templates, tokenizer, special);
      if (jinja.ok()) gemma = OwnTurnsLike(**jinja, tokenizer, wanted);
      GEMMA_RETURN_IF_ERROR(gemma.status());
    }
    return gemma;
  }
  if (!templates.ok()) {
    return Unreadable(templates.status());
  }
  RemoveEmpty(*templates, notes);
  if (templates->empty()) {
    if (wanted.of_file) {
      return WithReason(absl::NotFoundError(absl::StrCat(
                            checkpoint.path, ": there is no chat template")),
                        ErrorReason::kChatTemplate);
    }
    GEMMA_RETURN_IF_ERROR(gemma.status());
    return With(*std::move(gemma), "there is no chat template");
  }
  GEMMA_ASSIGN_OR_RETURN(ChatTemplateImpl jinja,
                         FromText(*templates, tokenizer, special));
  if (wanted.of_file) return jinja;
  if (gemma.ok()) gemma = OwnTurnsLike(*jinja, tokenizer, wanted);
  if (!gemma.ok()) {
    return With(std::move(jinja),
                "the vocabulary lacks the markers of Gemma's own turns");
  }
  const std::string_view what = Difference(*jinja, **gemma);
  if (what.empty()) {
    return With(*std::move(gemma),
                absl::StrCat(jinja->source, " makes the same tokens"));
  }
  return With(std::move(jinja), absl::StrCat("it makes other tokens of ", what,
                                             " than Gemma's own turns"));
}

}  // namespace

absl::StatusOr<ChatTemplate> ChooseChatTemplate(
    const Checkpoint& checkpoint, const Tokenizer& tokenizer,
    const WantedTurns& wanted, std::vector<std::string>* notes) {
  std::vector<std::string> own_notes;
  absl::StatusOr<ChatTemplateImpl> turns =
      Choose(checkpoint, tokenizer, wanted, own_notes);
  if (notes != nullptr) {
    if (turns.ok()) NoteMissingMarkers(**turns, own_notes);
    notes->insert(notes->end(), own_notes.begin(), own_notes.end());
  }
  GEMMA_RETURN_IF_ERROR(turns.status());
  if ((*turns)->tool_dialect == ToolDialect::kNone && wanted.calls_in_json) {
    (*turns)->tool_dialect = ToolDialect::kJson;
  }
  return ChatTemplate(*std::move(turns));
}

}  // namespace gemma::internal
