// /v1/score: the probabilities that given texts follow a prompt.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/status_macros.h"
#include "src/serve/answer/gather.h"
#include "src/serve/api_error.h"
#include "src/serve/request/chat_messages.h"
#include "src/serve/request/completion_request.h"
#include "src/serve/start.h"

namespace gemma::internal {
namespace {

constexpr size_t kMaxScored = 256;

// Writes the scores of the given texts.
std::string ScoresJson(const Served& served,
                       absl::Span<const std::vector<TokenId>> choices,
                       const Completion& answer) {
  JsonWriter json;
  json.Object().Member("object", "score").Member("model", served.name);
  json.Key("choices").Array();
  for (size_t i = 0; i < choices.size(); ++i) {
    const ChoiceScore& score = answer.scores[i];
    json.Object().Member("index", i);
    json.Member("log_probability", score.log_probability);
    json.Member("is_greedy", score.is_greedy);
    json.Key("tokens").Array();
    for (const TokenId token : choices[i]) json.Value(token);
    json.Close().Key("token_log_probabilities").Array();
    for (const double value : score.token_log_probabilities) json.Value(value);
    json.Close().Close();
  }
  json.Close();
  WriteUsage({.prompt_tokens = answer.stats.prompt_tokens,
              .cached_tokens = answer.stats.reused_tokens},
             json);
  return json.Close().Take();
}

struct ScoreRequest {
  std::vector<PromptInput> prompts;  // of `prompt`; one
  std::vector<Message> messages;     // or these
  std::vector<PromptInput> choices;
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
                          Request& asked) {
  if (request.messages.empty()) {
    GEMMA_ASSIGN_OR_RETURN(
        asked.prompt,
        EncodePrompt(served.tokenizer, std::move(request.prompts[0])));
  } else {
    if (!served.turns.ok()) return AtParam(served.turns.status(), "messages");
    absl::StatusOr<std::vector<TokenId>> tokens = ChatTokens(
        served.tokenizer, *served.turns, std::move(request.messages), {});
    if (!tokens.ok()) return AtParam(tokens.status(), "messages");
    asked.prompt = *std::move(tokens);
  }
  for (size_t i = 0; i < request.choices.size(); ++i) {
    PromptInput& choice = request.choices[i];
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
    asked.choices.push_back(std::move(choice.tokens));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ScoreChoices(const std::shared_ptr<Served>& served, Call& call,
                          Fields& fields) {
  GEMMA_RETURN_IF_ERROR(NeedAnswers(*served));
  GEMMA_ASSIGN_OR_RETURN(ScoreRequest request,
                         ReadScoreRequest(served->model.config(), fields));
  GEMMA_ASSIGN_OR_RETURN(Admission::Place place, TakePlace(*served, call, 1));
  // EncodeScored moves the messages out.
  const std::string_view param =
      request.messages.empty() ? "prompt" : "messages";
  Request asked;
  GEMMA_RETURN_IF_ERROR(EncodeScored(*served, request, asked));
  std::vector<std::vector<TokenId>> choices = asked.choices;
  std::vector<Request> requests;
  requests.push_back(std::move(asked));
  return GatherAnswers(
      served, call, request.timeout, std::move(place), std::move(requests),
      [served = served.get(), choices = std::move(choices)](
          absl::Span<const Completion> answers) -> absl::StatusOr<std::string> {
        return ScoresJson(*served, choices, answers[0]);
      },
      param);
}

}  // namespace gemma::internal
