// The routes that answer: /v1/chat/completions and /v1/completions.

#include <ctime>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/status_macros.h"
#include "src/serve/call.h"
#include "src/serve/chat_messages.h"
#include "src/serve/chat_request.h"
#include "src/serve/chat_writer.h"
#include "src/serve/completion_request.h"
#include "src/serve/completion_writer.h"
#include "src/serve/generation.h"
#include "src/serve/job.h"

namespace gemma::internal {
namespace {

// Seeds that are drawn: those that a number of JavaScript holds exactly.
constexpr uint64_t kSeedMask = (uint64_t{1} << 53) - 1;

ResponseHead HeadOf(const Served& served, const Call& call,
                    std::string_view prefix, AnswerFields& answer) {
  if (!answer.has_seed) SetSeed(call.random & kSeedMask, answer);
  return {.id = FormatText("%s-%016x", prefix, call.random),
          .model = served.name,
          .created = static_cast<int64_t>(std::time(nullptr)),
          .seed = answer.seed_text,
          .stream = answer.stream,
          .include_usage = answer.include_usage};
}

// What the engine is to do, without the prompts.
Asked AskedOf(const Call& call, Admission::Place place, AnswerFields answer) {
  Asked asked;
  asked.place = std::move(place);
  asked.deadline = DeadlineOf(call, answer.timeout);
  asked.client = call.request.client;
  asked.fields = std::move(answer);
  return asked;
}

absl::Status StartAnswers(const std::shared_ptr<Served>& served, Call& call,
                          Asked asked, std::unique_ptr<AnswerWriter> writer) {
  const absl::Status status =
      Generation::Start(served, std::move(asked), call.out, std::move(writer));
  if (status.ok()) call.out->Release();
  return status;
}

absl::Status NeedEngine(const Served& served) {
  if (served.engine.has_value()) return absl::OkStatus();
  return AtParam(
      ApiError(400, "wrong_model",
               absl::StrCat("the model '", served.name,
                            "' does not continue texts")),
      "model");
}

}  // namespace

absl::Status Chat(const std::shared_ptr<Served>& served, Call& call,
                  Fields& fields) {
  GEMMA_RETURN_IF_ERROR(NeedEngine(*served));
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
  absl::StatusOr<std::vector<TokenId>> tokens =
      ChatTokens(served->tokenizer, *served->turns, std::move(request.messages),
                 request.turns);
  if (!tokens.ok()) return AtParam(tokens.status(), "messages");
  ResponseHead head = HeadOf(*served, call, "chatcmpl", request.answer);
  const bool logprobs = request.answer.logprobs;
  Asked asked = AskedOf(call, std::move(place), std::move(request.answer));
  asked.prompts.push_back(*std::move(tokens));
  // Within a grammar, an answer has no control tokens.
  asked.has_thoughts = !asked.fields.grammar.has_value();
  auto writer = std::make_unique<ChatWriter>(std::move(head), call.out,
                                             served->tokenizer, n, logprobs);
  return AtParam(
      StartAnswers(served, call, std::move(asked), std::move(writer)),
      "messages");
}

absl::Status Complete(const std::shared_ptr<Served>& served, Call& call,
                      Fields& fields) {
  GEMMA_RETURN_IF_ERROR(NeedEngine(*served));
  GEMMA_ASSIGN_OR_RETURN(
      CompletionRequest request,
      ReadCompletionRequest(served->model.config(), call.options.max_choices,
                            fields));
  const size_t n = request.answer.n;
  const size_t choices = request.prompts.size() * n;
  GEMMA_ASSIGN_OR_RETURN(Admission::Place place,
                         TakePlace(*served, call, choices));
  GEMMA_RETURN_IF_ERROR(EncodePrompts(served->tokenizer, request));
  ResponseHead head = HeadOf(*served, call, "cmpl", request.answer);
  CompletionStyle style = {
      .n = n,
      .logprobs = request.answer.logprobs,
      .num_alternatives = request.answer.options.num_alternatives};
  Asked asked = AskedOf(call, std::move(place), std::move(request.answer));
  asked.scores_prompt = request.echo && style.logprobs;
  for (TextPrompt& prompt : request.prompts) {
    style.echoes.push_back(request.echo ? std::move(prompt.text) : "");
    asked.prompts.push_back(std::move(prompt.tokens));
  }
  auto writer = std::make_unique<CompletionWriter>(
      std::move(head), call.out, served->tokenizer, choices, std::move(style));
  return AtParam(
      StartAnswers(served, call, std::move(asked), std::move(writer)),
      "prompt");
}

}  // namespace gemma::internal
