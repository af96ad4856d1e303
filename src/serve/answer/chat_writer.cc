#include "src/serve/answer/chat_writer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "src/serve/answer/token_text.h"

namespace gemma::internal {
namespace {

constexpr std::string_view kChat = "chat.completion";
constexpr std::string_view kChunk = "chat.completion.chunk";

std::string DeltaOf(std::string_view name, std::string_view text) {
  return JsonWriter().Object().Member(name, text).Close().Take();
}

}  // namespace

std::string ChatWriter::CallId(size_t choice, size_t call) const {
  // The part of the response's id that is drawn.
  return absl::StrCat("call_", id().substr(id().rfind('-') + 1), "_", choice,
                      "_", call);
}

// In a stream, each call has its index.
void ChatWriter::WriteCalls(absl::Span<const ToolCall> calls, size_t choice,
                            JsonWriter& json) const {
  json.Key("tool_calls").Array();
  for (size_t i = 0; i < calls.size(); ++i) {
    json.Object();
    if (streams()) json.Member("index", i);
    json.Member("id", CallId(choice, i));
    json.Member("type", "function").Key("function").Object();
    json.Member("name", calls[i].name);
    json.Member("arguments",
                calls[i].arguments.empty() ? "{}" : calls[i].arguments);
    json.Close().Close();
  }
  json.Close();
}

void ChatWriter::Begin() {
  if (!streams()) return;
  out()->BeginStream();
  for (size_t i = 0; i < choices_.size(); ++i) {
    Delta(i, R"({"role":"assistant","content":""})");
  }
}

void ChatWriter::Token(size_t choice, const ScoredToken& token) {
  JsonWriter json;
  WriteChatLogprob(tokenizer_, token, json);
  const std::string element = json.Take();
  if (!streams() && !MayHold(element.size())) return;
  std::string& list = choices_[choice].held_logprobs;
  absl::StrAppend(&list, list.empty() ? "" : ",", element);
}

void ChatWriter::ReleaseLogprobs(Choice& choice) {
  if (choice.held_logprobs.empty()) return;
  absl::StrAppend(&choice.logprobs, choice.logprobs.empty() ? "" : ",",
                  std::exchange(choice.held_logprobs, ""));
}

void ChatWriter::Text(size_t choice, std::string_view text) {
  if (text.empty()) return;
  ReleaseLogprobs(choices_[choice]);
  if (streams()) return Delta(choice, DeltaOf("content", text));
  if (MayHold(text.size())) choices_[choice].text += text;
}

void ChatWriter::Thoughts(size_t choice, std::string_view text) {
  if (text.empty()) return;
  ReleaseLogprobs(choices_[choice]);
  if (streams()) return Delta(choice, DeltaOf("reasoning_content", text));
  if (MayHold(text.size())) choices_[choice].thoughts += text;
}

void ChatWriter::Call(size_t choice, const ToolCallPiece& piece) {
  Choice& calling = choices_[choice];
  ReleaseLogprobs(calling);
  if (!streams()) {
    // End gets it whole.
    MayHold(piece.name.size() + piece.arguments.size());
    return;
  }
  JsonWriter delta;
  delta.Object().Key("tool_calls").Array().Object();
  delta.Member("index", piece.index);
  if (!piece.name.empty()) {
    ++calling.num_calls;
    delta.Member("id", CallId(choice, piece.index)).Member("type", "function");
  }
  delta.Key("function").Object();
  if (!piece.name.empty()) delta.Member("name", piece.name);
  delta.Member("arguments", piece.arguments).Close();
  Delta(choice, delta.Close().Close().Close().Take());
}

void ChatWriter::End(size_t choice, StopReason reason,
                     absl::Span<const ToolCall> calls) {
  Choice& ended = choices_[choice];
  if (reason != StopReason::kStopString) ReleaseLogprobs(ended);
  if (streams()) {
    if (!calls.empty() && ended.num_calls == 0) {
      JsonWriter delta;
      WriteCalls(calls, choice, delta.Object());
      Delta(choice, delta.Close().Take());
    }
    return Delta(choice, "{}", &reason, !calls.empty());
  }
  JsonWriter json;
  json.Object().Member("index", choice).Key("message").Object();
  json.Member("role", "assistant");
  if (ended.text.empty() && !calls.empty()) {
    json.NullMember("content");
  } else {
    json.Member("content", ended.text);
  }
  if (!ended.thoughts.empty()) {
    json.Member("reasoning_content", ended.thoughts);
  }
  json.NullMember("refusal");
  if (!calls.empty()) WriteCalls(calls, choice, json);
  json.Close();
  WriteLogprobs(ended, json);
  json.Member("finish_reason", FinishReason(reason, !calls.empty()));
  json.Member("stop_reason", StopReasonName(reason));
  ended.message = json.Close().Take();
  ended.text = ended.thoughts = std::string();
}

void ChatWriter::Finish(const Usage& usage) {
  if (streams()) return EndStream(kChunk, usage);
  JsonWriter json = Open(kChat);
  json.Key("choices").Array();
  for (const Choice& choice : choices_) json.Raw(choice.message);
  json.Close();
  WriteUsage(usage, json);
  Respond(json);
}

void ChatWriter::Delta(size_t choice, std::string_view delta,
                       const StopReason* ended, bool has_calls) {
  JsonWriter json = Open(kChunk);
  json.Key("choices").Array().Object();
  json.Member("index", choice).Key("delta").Raw(delta);
  WriteLogprobs(choices_[choice], json);
  if (ended != nullptr) {
    json.Member("finish_reason", FinishReason(*ended, has_calls));
    json.Member("stop_reason", StopReasonName(*ended));
  } else {
    json.NullMember("finish_reason");
  }
  json.Close().Close();
  WriteEvent(json);
}

void ChatWriter::WriteLogprobs(Choice& choice, JsonWriter& json) const {
  if (!logprobs_ || (streams() && choice.logprobs.empty())) {
    json.NullMember("logprobs");
    return;
  }
  json.Key("logprobs").Object().Key("content").Array();
  if (!choice.logprobs.empty()) json.Raw(std::exchange(choice.logprobs, ""));
  json.Close().Close();
}

}  // namespace gemma::internal
