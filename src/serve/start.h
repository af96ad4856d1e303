// What the routes have in common between a request and its answers.

#ifndef GEMMA_SRC_SERVE_START_H_
#define GEMMA_SRC_SERVE_START_H_

#include <chrono>
#include <cstddef>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/serve/admission.h"
#include "src/serve/answer/answer_writer.h"
#include "src/serve/answer/generation.h"
#include "src/serve/call.h"
#include "src/serve/request/answer_fields.h"

namespace gemma::internal {

// An error if the model does not continue texts.
absl::Status NeedAnswers(const Served& served);

// Takes a place of the admission for this many choices, or says in the response
// when there may be one. Call this before the prompt is encoded.
absl::StatusOr<Admission::Place> TakePlace(Served& served, const Call& call,
                                           size_t choices);

// Makes the grammar of the answer's form, which the engine keeps.
absl::Status CompileForm(Served& served, AnswerFields& answer);

// Returns what a response begins with. Draws a seed if the request has none.
// `prefix`: of the response's id.
ResponseHead HeadOf(const Served& served, const Call& call,
                    std::string_view prefix, AnswerFields& answer);

// Returns when a request must have ended; nothing: no limit. `timeout`: what
// the request asks for in seconds, or 0.
std::optional<std::chrono::steady_clock::time_point> DeadlineOf(
    const Call& call, double timeout);

// Returns what the engine is to do, without the prompts.
Asked AskedOf(const Call& call, Admission::Place place, AnswerFields answer);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SERVE_START_H_
