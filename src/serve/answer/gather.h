// Requests to an engine whose answers become one response.

#ifndef GEMMA_SRC_SERVE_ANSWER_GATHER_H_
#define GEMMA_SRC_SERVE_ANSWER_GATHER_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/engine.h"
#include "src/serve/admission.h"
#include "src/serve/call.h"

namespace gemma::internal {

// Makes the JSON of the response of the answers to all requests, in order.
// Served::background calls it. It may use what Served has.
using MakeJson = std::function<absl::StatusOr<std::string>(
    absl::Span<const Completion> answers)>;

// Gives the requests to the model's engine. Writes the response when all have
// ended, or the first error. A reader that leaves ends the requests, and so
// does the deadline, with status 504. `timeout`: in seconds, or 0. `place`:
// each of its choices counts as many of the requests, in any order. `param`:
// the field that they come from.
absl::Status GatherAnswers(const std::shared_ptr<Served>& served,
                           const Call& call, double timeout,
                           Admission::Place place,
                           std::vector<Request> requests, MakeJson make_json,
                           std::string_view param);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SERVE_ANSWER_GATHER_H_
