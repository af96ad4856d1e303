// /v1/score: the probabilities that given texts follow a prompt.

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/status_macros.h"
#include "src/serve/api_error.h"
#include "src/serve/chat_messages.h"
#include "src/serve/completion_request.h"
#include "src/serve/generation.h"
#include "src/serve/start.h"

namespace gemma::internal {
namespace {

constexpr size_t kMaxScored = 256;

class ScoreWriter : public AnswerWriter {
 public:
  ScoreWriter(ResponseHead head, std::shared_ptr<Exchange::State> out,
              std::vector<std::vector<TokenId>> scored)
      : AnswerWriter(std::move(head), std::move(out)),
        scored_(std::move(scored)) {}

  void Begin() override {}
  void Token(size_t /*choice*/, const ScoredToken& /*token*/) override {}
  void Text(size_t /*choice*/, std::string_view /*text*/) override {}
  void Scores(size_t /*choice*/,
              const std::vector<ChoiceScore>& scores) override {
    scores_ = scores;
  }
  void End(size_t /*choice*/, StopReason reason,
           absl::Span<const ToolCall> /*calls*/) override {
    reason_ = reason;
  }
  void Finish(const Usage& usage) override {
    if (reason_ == StopReason::kDeadline) {
      out()->Fail(
          ApiError(504, "deadline", "the request took longer than its limit"));
      return;
    }
    JsonWriter json = Open("score");
    json.Key("choices").Array();
    for (size_t i = 0; i < scores_.size(); ++i) {
      json.Object().Member("index", i);
      json.Member("log_probability", scores_[i].log_probability);
      json.Key("tokens").Array();
      for (const TokenId token : scored_[i]) json.Value(token);
      json.Close().Key("token_log_probabilities").Array();
      for (const double value : scores_[i].token_log_probabilities) {
        json.Value(value);
      }
      json.Close().Close();
    }
    json.Close();
    WriteUsage(usage, json);
    Respond(json);
  }

 private:
  const std::vector<std::vector<TokenId>> scored_;
  std::vector<ChoiceScore> scores_;
  StopReason reason_ = StopReason::kMaxTokens;
};

struct ScoreRequest {
  std::vector<TextPrompt> prompts;  // of `prompt`; one
  std::vector<Message> messages;    // or these
  std::vector<TextPrompt> choices;
  double timeout = 0;
};

absl::StatusOr<ScoreRequest> ReadScoreRequest(const ModelConfig& config,
                                              Fields& fields) {
  ScoreRequest request;
  const std::optional<Json> prompt = fields.Take("prompt");
  const std::optional<Json> messages = fields.Take("messages");
  if (prompt.has_value() == messages.has_value()) {
    return absl::InvalidArgumentError(
        "the request needs one of 'prompt' and 'messages'");
  }
  if (messages.has_value()) {
    GEMMA_ASSIGN_OR_RETURN(request.messages, ReadMessages(*messages));
  } else {
    GEMMA_ASSIGN_OR_RETURN(request.prompts, ReadPrompts(*prompt, config));
    if (request.prompts.size() != 1) {
      return FieldError(*prompt, "has several prompts, wanted one");
    }
  }
  const std::optional<Json> choices = fields.Take("choices");
  if (!choices.has_value()) return fields.Missing("choices");
  if (!choices->is_array()) {
    return AtField(choices->Unexpected("an array of texts or of tokens"),
                   *choices);
  }
  GEMMA_ASSIGN_OR_RETURN(request.choices, ReadPrompts(*choices, config));
  if (request.choices.size() > kMaxScored) {
    return FieldError(*choices, FormatText("has %u choices, wanted at most %u",
                                           request.choices.size(), kMaxScored));
  }
  GEMMA_RETURN_IF_ERROR(ReadTimeout(fields, request.timeout));
  fields.Ignore({"user"});
  GEMMA_RETURN_IF_ERROR(fields.RefuseOthers());
  return request;
}

absl::Status EncodeScored(const Served& served, ScoreRequest& request,
                          Asked& asked) {
  if (request.messages.empty()) {
    GEMMA_ASSIGN_OR_RETURN(
        asked.prompts.emplace_back(),
        EncodePrompt(served.tokenizer, std::move(request.prompts[0])));
  } else {
    if (!served.turns.ok()) return AtParam(served.turns.status(), "messages");
    absl::StatusOr<std::vector<TokenId>> tokens = ChatTokens(
        served.tokenizer, *served.turns, std::move(request.messages), {});
    if (!tokens.ok()) return AtParam(tokens.status(), "messages");
    asked.prompts.push_back(*std::move(tokens));
  }
  for (size_t i = 0; i < request.choices.size(); ++i) {
    TextPrompt& choice = request.choices[i];
    if (!choice.has_tokens) {
      absl::StatusOr<std::vector<TokenId>> tokens =
          served.tokenizer.Encode(choice.text);
      if (!tokens.ok()) return AtParam(tokens.status(), "choices");
      choice.tokens = *std::move(tokens);
    }
    if (choice.tokens.empty()) {
      return AtParam(absl::InvalidArgumentError(FormatText(
                         "choice %u is empty, wanted one token or more", i)),
                     "choices");
    }
    asked.scored.push_back(std::move(choice.tokens));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ScoreChoices(const std::shared_ptr<Served>& served, Call& call,
                          Fields& fields) {
  GEMMA_RETURN_IF_ERROR(NeedEngine(*served));
  GEMMA_ASSIGN_OR_RETURN(ScoreRequest request,
                         ReadScoreRequest(served->model.config(), fields));
  Asked asked;
  GEMMA_ASSIGN_OR_RETURN(asked.place, TakePlace(*served, call, 1));
  GEMMA_RETURN_IF_ERROR(EncodeScored(*served, request, asked));
  asked.client = call.request.client;
  asked.deadline = DeadlineOf(call, request.timeout);
  ResponseHead head = HeadOf(*served, call, "score", asked.fields);
  auto writer =
      std::make_unique<ScoreWriter>(std::move(head), call.out, asked.scored);
  return Generation::Start(served, std::move(asked), call.out,
                           std::move(writer));
}

}  // namespace gemma::internal
