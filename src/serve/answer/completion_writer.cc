#include "src/serve/answer/completion_writer.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/utf8.h"
#include "src/serve/answer/token_text.h"

namespace gemma::internal {
namespace {

constexpr std::string_view kText = "text_completion";

void AddTo(std::string& list, std::string_view elements) {
  if (elements.empty()) return;
  absl::StrAppend(&list, list.empty() ? "" : ",", elements);
}

size_t NumCharacters(std::string_view text) {
  size_t count = 0;
  for (size_t at = 0; at < text.size(); at = CharacterEnd(text, at)) ++count;
  return count;
}

// Returns the alternatives as an object: each text once, with the most probable
// token that has it.
std::string AlternativesOf(const Tokenizer& tokenizer,
                           const ScoredToken& token) {
  JsonWriter json;
  std::set<std::string> texts;
  json.Object();
  for (const TokenProbability& other : token.alternatives) {
    const std::string text = TokenText(tokenizer, other.token);
    if (!texts.insert(text).second) continue;
    json.Member(text, FiniteLogprob(other.log_probability));
  }
  return json.Close().Take();
}

}  // namespace

void CompletionWriter::Logprobs::Append(Logprobs others) {
  AddTo(tokens, others.tokens);
  AddTo(token_logprobs, others.token_logprobs);
  AddTo(top_logprobs, others.top_logprobs);
  AddTo(text_offset, others.text_offset);
}

CompletionWriter::CompletionWriter(ResponseHead head,
                                   std::shared_ptr<Exchange::State> out,
                                   const Tokenizer& tokenizer,
                                   size_t num_choices, CompletionStyle style)
    : AnswerWriter(std::move(head), std::move(out)),
      tokenizer_(tokenizer),
      style_(std::move(style)) {
  for (size_t i = 0; i < num_choices; ++i) choices_.emplace_back(tokenizer_);
}

void CompletionWriter::Begin() {
  if (streams()) out()->BeginStream();
  for (size_t i = 0; i < choices_.size(); ++i) {
    const std::string& echo = style_.echoes[i / style_.n];
    if (!echo.empty()) Text(i, echo);
  }
}

void CompletionWriter::Token(size_t index, const ScoredToken& token) {
  Choice& choice = choices_[index];
  std::string text =
      JsonWriter().Value(TokenText(tokenizer_, token.token)).Take();
  JsonWriter number, top;
  if (token.log_probability.has_value()) {
    number.Value(FiniteLogprob(*token.log_probability));
    top.Raw(AlternativesOf(tokenizer_, token));
  } else {
    // The first token of a prompt.
    number.Null();
    top.Null();
  }
  Logprobs next = {std::move(text), number.Take(), "",
                   absl::StrCat(choice.num_chars)};
  if (style_.num_alternatives > 0) next.top_logprobs = top.Take();
  if (!streams() &&
      !MayHold(next.tokens.size() + next.token_logprobs.size() +
               next.top_logprobs.size() + next.text_offset.size())) {
    return;
  }
  const std::vector<size_t>& scored = style_.scored_tokens;
  const bool of_prompt =
      !scored.empty() && choice.num_tokens < scored[index / style_.n];
  (of_prompt ? choice.logprobs : choice.held_logprobs).Append(std::move(next));
  ++choice.num_tokens;
  choice.num_chars += NumCharacters(choice.decoder.Append(token.token));
}

void CompletionWriter::ReleaseLogprobs(Choice& choice) {
  choice.logprobs.Append(std::exchange(choice.held_logprobs, {}));
}

void CompletionWriter::Text(size_t choice, std::string_view text) {
  if (text.empty()) return;
  ReleaseLogprobs(choices_[choice]);
  if (streams()) return Event(choice, text);
  if (MayHold(text.size())) choices_[choice].text += text;
}

void CompletionWriter::End(size_t choice, StopReason reason,
                           absl::Span<const ToolCall> /*calls*/) {
  if (reason != StopReason::kStopString) ReleaseLogprobs(choices_[choice]);
  if (streams()) return Event(choice, "", &reason);
  JsonWriter json;
  WriteChoice(choice, choices_[choice].text, &reason, json);
  choices_[choice].json = json.Take();
  choices_[choice].text = std::string();
}

void CompletionWriter::Finish(const Usage& usage) {
  if (streams()) return EndStream(kText, usage);
  JsonWriter json = Open(kText);
  json.Key("choices").Array();
  for (const Choice& choice : choices_) json.Raw(choice.json);
  json.Close();
  WriteUsage(usage, json);
  Respond(json);
}

void CompletionWriter::Event(size_t choice, std::string_view text,
                             const StopReason* ended) {
  JsonWriter json = Open(kText);
  json.Key("choices").Array();
  WriteChoice(choice, text, ended, json);
  json.Close();
  WriteEvent(json);
}

void CompletionWriter::WriteChoice(size_t choice, std::string_view text,
                                   const StopReason* ended, JsonWriter& json) {
  json.Object().Member("text", text).Member("index", choice);
  WriteLogprobs(choices_[choice], json);
  if (ended != nullptr) {
    json.Member("finish_reason", FinishReason(*ended, false));
    json.Member("stop_reason", StopReasonName(*ended));
  } else {
    json.NullMember("finish_reason");
  }
  json.Close();
}

void CompletionWriter::WriteLogprobs(Choice& choice, JsonWriter& json) const {
  if (!style_.logprobs || (streams() && choice.logprobs.tokens.empty())) {
    json.NullMember("logprobs");
    return;
  }
  const auto list = [&](std::string_view name, const std::string& elements) {
    json.Key(name).Array();
    if (!elements.empty()) json.Raw(elements);
    json.Close();
  };
  json.Key("logprobs").Object();
  Logprobs logprobs = std::exchange(choice.logprobs, {});
  list("tokens", logprobs.tokens);
  list("token_logprobs", logprobs.token_logprobs);
  if (style_.num_alternatives == 0) {
    json.NullMember("top_logprobs");
  } else {
    list("top_logprobs", logprobs.top_logprobs);
  }
  list("text_offset", logprobs.text_offset);
  json.Close();
}

}  // namespace gemma::internal
