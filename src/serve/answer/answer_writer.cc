#include "src/serve/answer/answer_writer.h"

#include <cmath>

#include "src/base/format_text.h"
#include "src/serve/api_error.h"

namespace gemma::internal {

JsonWriter AnswerWriter::Open(std::string_view object) const {
  JsonWriter json;
  json.Object().Member("id", head_.id).Member("object", object);
  json.Member("created", head_.created).Member("model", head_.model);
  json.Key("seed").Raw(head_.seed);
  return json;
}

void WriteUsage(const Usage& usage, JsonWriter& json) {
  json.Key("usage").Object();
  json.Member("prompt_tokens", usage.prompt_tokens);
  json.Member("completion_tokens", usage.completion_tokens);
  json.Member("total_tokens", usage.prompt_tokens + usage.completion_tokens);
  json.Key("prompt_tokens_details").Object();
  json.Member("cached_tokens", usage.cached_tokens).Close();
  json.Key("completion_tokens_details").Object();
  json.Member("reasoning_tokens", usage.reasoning_tokens).Close().Close();
}

void AnswerWriter::WriteEvent(JsonWriter& json) const {
  // With the usage at the end, clients expect the key in every event.
  if (head_.include_usage) json.NullMember("usage");
  out_->Event(json.Close().Take());
}

bool AnswerWriter::MayHold(size_t bytes) {
  held_bytes_ += bytes;
  return held_bytes_ <= head_.max_bytes;
}

absl::Status AnswerWriter::CheckSize() const {
  if (held_bytes_ <= head_.max_bytes) return absl::OkStatus();
  return ApiError(
      400, "response_too_large",
      FormatText("the texts and log-probabilities of the response have more "
                 "than %u bytes, which is the most without \"stream\": true: "
                 "ask for a stream, or for less",
                 head_.max_bytes));
}

void AnswerWriter::Progress(size_t prompt, size_t done, size_t total,
                            double seconds) {
  JsonWriter json = Open("prompt.progress");
  json.Key("choices").Array().Close().Key("prompt_progress").Object();
  json.Member("prompt", prompt);
  json.Member("processed", done).Member("total", total);
  json.Member("time_ms", std::llround(seconds * 1000)).Close();
  WriteEvent(json);
}

void AnswerWriter::EndStream(std::string_view object,
                             const Usage& usage) const {
  if (head_.include_usage) {
    JsonWriter json = Open(object);
    json.Key("choices").Array().Close();
    WriteUsage(usage, json);
    out_->Event(json.Close().Take());
  }
  out_->EndStream();
}

void AnswerWriter::Respond(JsonWriter& json) const {
  out_->Respond(200, "application/json", json.Close().Take());
}

std::string_view FinishReason(StopReason reason, bool has_calls) {
  switch (reason) {
    case StopReason::kStopToken:
    case StopReason::kStopString:
    case StopReason::kGrammarEnd:
      return has_calls ? "tool_calls" : "stop";
    case StopReason::kMaxTokens:
    case StopReason::kContextFull:
    case StopReason::kCancelled:
    case StopReason::kDeadline:
      return "length";
  }
  return "length";
}

}  // namespace gemma::internal
