// The routes that answer: /v1/chat/completions and /v1/completions.

#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/status_macros.h"
#include "src/serve/answer/chat_writer.h"
#include "src/serve/answer/completion_writer.h"
#include "src/serve/answer/generation.h"
#include "src/serve/api_error.h"
#include "src/serve/call.h"
#include "src/serve/request/chat_messages.h"
#include "src/serve/request/chat_request.h"
#include "src/serve/request/completion_request.h"
#include "src/serve/request/feature_fields.h"
#include "src/serve/start.h"

namespace gemma::internal {

absl::Status Chat(const std::shared_ptr<Served>& served, Call& call,
                  Fields& fields) {
  GEMMA_RETURN_IF_ERROR(NeedAnswers(*served));
  GEMMA_ASSIGN_OR_RETURN(TapFunction tap, ReadSteering(*served, fields));
  GEMMA_ASSIGN_OR_RETURN(ChatRequest request,
                         ReadChatRequest(served->model.config(),
                                         call.options.max_choices, fields));
  const size_t n = request.answer.n;
  GEMMA_ASSIGN_OR_RETURN(Admission::Place place, TakePlace(*served, call, n));
  if (!served->turns.ok()) {
    return AtParam(absl::InvalidArgumentError(absl::StrCat(
                       "the model '", served->name,
                       "' does not chat: ", served->turns.status().message())),
                   "model");
  }
  GEMMA_RETURN_IF_ERROR(
      UseTools(served->turns->tool_dialect(), served->name, request));
  GEMMA_RETURN_IF_ERROR(CompileForm(*served, request.answer));
  absl::StatusOr<std::vector<TokenId>> tokens =
      ChatTokens(served->tokenizer, *served->turns, std::move(request.messages),
                 request.turns);
  if (!tokens.ok()) {
    const bool asks_too_much =
        request.turns.thinking.value_or(false) && !served->thinks();
    return AtParam(tokens.status(),
                   asks_too_much ? request.thinking_param : "messages");
  }
  ResponseHead head = HeadOf(*served, call, "chatcmpl", request.answer);
  const bool logprobs = request.answer.logprobs;
  Asked asked = AskedOf(call, std::move(place), std::move(request.answer));
  TokenMemory::Prompt prompt =
      served->memory.Recall(*std::move(tokens), served->context());
  asked.prompts.push_back(std::move(prompt.tokens));
  asked.remembered_text = std::move(prompt.text);
  asked.tap = std::move(tap);
  if (asked.fields.form.has_value()) {
    asked.dialect = CallsToRead(asked.fields.form->source.rules);
  }
  // Within another grammar, an answer has no control tokens.
  asked.has_thoughts =
      !asked.fields.grammar.has_value() || asked.dialect != ToolDialect::kNone;
  auto writer = std::make_unique<ChatWriter>(std::move(head), call.out,
                                             served->tokenizer, n, logprobs);
  return Generation::Start(served, std::move(asked), call.out,
                           std::move(writer), "messages");
}

absl::Status Complete(const std::shared_ptr<Served>& served, Call& call,
                      Fields& fields) {
  GEMMA_RETURN_IF_ERROR(NeedAnswers(*served));
  GEMMA_ASSIGN_OR_RETURN(TapFunction tap, ReadSteering(*served, fields));
  GEMMA_ASSIGN_OR_RETURN(
      CompletionRequest request,
      ReadCompletionRequest(served->model.config(), call.options.max_choices,
                            fields));
  const size_t n = request.answer.n;
  const size_t choices = request.prompts.size() * n;
  GEMMA_ASSIGN_OR_RETURN(Admission::Place place,
                         TakePlace(*served, call, choices));
  GEMMA_RETURN_IF_ERROR(CompileForm(*served, request.answer));
  GEMMA_RETURN_IF_ERROR(EncodePrompts(served->tokenizer, request));
  ResponseHead head = HeadOf(*served, call, "cmpl", request.answer);
  CompletionStyle style = {
      .n = n,
      .logprobs = request.answer.logprobs,
      .num_alternatives = request.answer.options.num_alternatives};
  Asked asked = AskedOf(call, std::move(place), std::move(request.answer));
  asked.tap = std::move(tap);
  asked.scores_prompt = request.echo && style.logprobs;
  for (size_t i = 0; i < request.prompts.size(); ++i) {
    PromptInput& prompt = request.prompts[i];
    if (asked.scores_prompt && !asked.fields.options.prompt_only &&
        prompt.tokens.size() >= served->context()) {
      // Without a new token, the lists of log-probabilities would be shorter
      // than their readers count on.
      return AtParam(
          ApiError(400, "context_length_exceeded",
                   FormatText("the prompt has %u tokens, the context has room "
                              "for %u with one of the answer",
                              prompt.tokens.size(), served->context() - 1)),
          request.prompts.size() == 1 ? "prompt"
                                      : absl::StrCat("prompt[", i, "]"));
    }
    if (asked.scores_prompt) {
      style.scored_tokens.push_back(prompt.tokens.size());
    }
    style.echoes.push_back(request.echo ? std::move(prompt.text) : "");
    asked.prompts.push_back(std::move(prompt.tokens));
  }
  auto writer = std::make_unique<CompletionWriter>(
      std::move(head), call.out, served->tokenizer, choices, std::move(style));
  return Generation::Start(served, std::move(asked), call.out,
                           std::move(writer), "prompt");
}

}  // namespace gemma::internal
