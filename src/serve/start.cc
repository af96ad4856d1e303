#include "src/serve/start.h"

#include <ctime>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/serve/api_error.h"

namespace gemma::internal {
namespace {

// Seeds that are drawn: those that a number of JavaScript holds exactly.
constexpr uint64_t kSeedMask = (uint64_t{1} << 53) - 1;

}  // namespace

absl::Status NeedAnswers(const Served& served) {
  if (!served.embedder.has_value()) return absl::OkStatus();
  return AtParam(ApiError(400, "wrong_model",
                          absl::StrCat("the model '", served.name,
                                       "' does not continue texts")),
                 "model");
}

ResponseHead HeadOf(const Served& served, const Call& call,
                    std::string_view prefix, AnswerFields& answer) {
  if (!answer.has_seed) SetSeed(call.random & kSeedMask, answer);
  return {.id = FormatText("%s-%016x", prefix, call.random),
          .model = served.name,
          .created = static_cast<int64_t>(std::time(nullptr)),
          .seed = answer.seed_text,
          .stream = answer.stream,
          .include_usage = answer.include_usage,
          .max_bytes = call.options.max_response_bytes};
}

absl::StatusOr<Admission::Place> TakePlace(Served& served, const Call& call,
                                           size_t choices) {
  size_t retry_after = 0;
  absl::StatusOr<Admission::Place> place = served.admission.Enter(
      call.request.client, choices, call.request.body.size(), &retry_after);
  if (retry_after > 0) {
    call.out->AddHeader("retry-after", absl::StrCat(retry_after));
    served.metrics.Refused();
  }
  return place;
}

std::optional<std::chrono::steady_clock::time_point> DeadlineOf(
    const Call& call, double timeout) {
  double seconds = call.options.max_seconds;
  if (timeout > 0 && (seconds == 0 || timeout < seconds)) seconds = timeout;
  if (seconds == 0) return std::nullopt;
  return call.begin +
         std::chrono::duration_cast<std::chrono::steady_clock::duration>(
             std::chrono::duration<double>(seconds));
}

absl::Status CompileForm(Served& served, AnswerFields& answer) {
  if (!answer.form.has_value()) return absl::OkStatus();
  const std::string& param = answer.form->param;
  absl::StatusOr<Grammar> grammar = served.engine->Compile(answer.form->source);
  if (grammar.ok()) {
    answer.grammar = *std::move(grammar);
    return absl::OkStatus();
  }
  return AtParam(
      absl::Status(grammar.status().code(),
                   absl::StrCat("'", param, "': ", grammar.status().message())),
      param);
}

Asked AskedOf(const Call& call, Admission::Place place, AnswerFields answer) {
  Asked asked;
  asked.place = std::move(place);
  asked.deadline = DeadlineOf(call, answer.timeout);
  asked.client = call.request.client;
  asked.fields = std::move(answer);
  return asked;
}

}  // namespace gemma::internal
