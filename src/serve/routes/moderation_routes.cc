// /v1/moderations: whether texts violate ShieldGemma's policies.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/status_macros.h"
#include "src/serve/answer/gather.h"
#include "src/serve/api_error.h"
#include "src/serve/request/chat_messages.h"
#include "src/serve/start.h"

namespace gemma::internal {
namespace {

// The most texts of a request; each has a question for each policy.
constexpr size_t kMaxModerated = 64;

// A text is flagged by a policy that it violates with more than this
// probability.
constexpr double kFlagged = 0.5;

struct ModerationRequest {
  std::vector<std::string> texts;
  std::optional<std::string> response;  // to the only text
  double timeout = 0;
};

absl::StatusOr<ModerationRequest> ReadModerationRequest(Fields& fields) {
  ModerationRequest request;
  const std::optional<Json> input = fields.Take("input");
  if (!input.has_value()) return fields.Missing("input");
  const bool has_parts = input->is_array() && input->size() > 0 &&
                         (*input->Elements().begin()).is_object();
  if (input->is_string() || has_parts) {
    GEMMA_RETURN_IF_ERROR(
        ReadTextContent(*input, request.texts.emplace_back()));
  } else {
    GEMMA_RETURN_IF_ERROR(AtField(input->Get(request.texts), *input));
  }
  if (request.texts.empty() || request.texts.size() > kMaxModerated) {
    return FieldError(*input, FormatText("has %u texts, wanted 1 to %u",
                                         request.texts.size(), kMaxModerated));
  }
  if (const std::optional<Json> response = fields.Take("response");
      response.has_value()) {
    if (request.texts.size() != 1) {
      return FieldError(*response, "needs one text in 'input'");
    }
    GEMMA_RETURN_IF_ERROR(
        AtField(response->Get(request.response.emplace()), *response));
  }
  GEMMA_RETURN_IF_ERROR(ReadTimeout(fields, request.timeout));
  fields.Ignore({"user"});
  GEMMA_RETURN_IF_ERROR(fields.RefuseOthers());
  return request;
}

// Returns the policies that judge prompts, or responses.
std::vector<Policy> PoliciesFor(bool response) {
  std::vector<Policy> policies;
  for (const Policy& policy : ShieldPolicies()) {
    const std::string& rule =
        response ? policy.response_rule : policy.prompt_rule;
    if (!rule.empty()) policies.push_back(policy);
  }
  return policies;
}

void WriteResult(const std::vector<Policy>& policies,
                 const std::vector<double>& scores, JsonWriter& json) {
  bool flagged = false;
  for (const double score : scores) flagged = flagged || score > kFlagged;
  json.Object().Member("flagged", flagged).Key("categories").Object();
  for (size_t i = 0; i < policies.size(); ++i) {
    json.Member(policies[i].name, scores[i] > kFlagged);
  }
  json.Close().Key("category_scores").Object();
  for (size_t i = 0; i < policies.size(); ++i) {
    json.Member(policies[i].name, scores[i]);
  }
  json.Close().Key("category_applied_input_types").Object();
  for (const Policy& policy : policies) {
    json.Key(policy.name).Array().Value("text").Close();
  }
  json.Close().Close();
}

// Writes the results of `num_texts` texts. `answers`: [num_texts, policies].
absl::StatusOr<std::string> ResultsOf(const Served& served,
                                      const std::vector<Policy>& policies,
                                      size_t num_texts, std::string_view id,
                                      absl::Span<const Completion> answers) {
  JsonWriter json;
  json.Object().Member("id", id).Member("model", served.name);
  json.Key("results").Array();
  double least_mass = 1;
  for (size_t text = 0; text < num_texts; ++text) {
    std::vector<double> scores;
    for (size_t i = 0; i < policies.size(); ++i) {
      GEMMA_ASSIGN_OR_RETURN(
          const ClassifierAnswer answer,
          Classifier::AnswerOf(answers[text * policies.size() + i]));
      scores.push_back(answer.probability);
      least_mass = std::min(least_mass, answer.answer_mass);
    }
    WriteResult(policies, scores, json);
  }
  json.Close().Member("least_answer_mass", least_mass);
  return json.Close().Take();
}

}  // namespace

absl::Status Moderate(const std::shared_ptr<Served>& served, Call& call,
                      Fields& fields) {
  if (!served->classifier.has_value()) {
    return AtParam(ApiError(400, "wrong_model",
                            absl::StrCat("the model '", served->name,
                                         "' does not judge texts")),
                   "model");
  }
  GEMMA_ASSIGN_OR_RETURN(ModerationRequest request,
                         ReadModerationRequest(fields));
  const std::vector<Policy> policies =
      PoliciesFor(request.response.has_value());
  const size_t num_texts = request.texts.size();
  GEMMA_ASSIGN_OR_RETURN(Admission::Place place,
                         TakePlace(*served, call, num_texts));
  std::vector<Request> requests;
  for (const std::string& text : request.texts) {
    absl::StatusOr<std::vector<Request>> questions =
        served->classifier->Requests(
            {.text = text, .response = request.response}, policies);
    if (!questions.ok()) {
      absl::Status status = AtParam(questions.status(), "input");
      return absl::IsOutOfRange(status)
                 ? WithCode(std::move(status), 400, "context_length_exceeded")
                 : status;
    }
    for (Request& question : *questions) {
      requests.push_back(std::move(question));
    }
  }
  return GatherAnswers(
      served, call, request.timeout, std::move(place), std::move(requests),
      [served = served.get(), policies, num_texts,
       id = FormatText("modr-%016x", call.random)](
          absl::Span<const Completion> answers) {
        return ResultsOf(*served, policies, num_texts, id, answers);
      },
      "input");
}

}  // namespace gemma::internal
