#include "src/serve/job.h"

#include <utility>

#include "src/base/no_throw.h"
#include "src/base/stopwatch.h"
#include "src/serve/api_error.h"
#include "src/serve/start.h"

namespace gemma::internal {
void StartJob(Served& served, const Call& call, double timeout,
              Admission::Place place, JobBody body) {
  const auto is_late = [deadline = DeadlineOf(call, timeout)] {
    return deadline.has_value() &&
           std::chrono::steady_clock::now() >= *deadline;
  };
  const auto late_error = [] {
    return ApiError(504, "deadline", "the request took longer than its limit");
  };
  const auto run = [&served, out = call.out, is_late, late_error,
                    body = std::move(body)]() -> absl::StatusOr<std::string> {
    if (is_late()) return late_error();
    absl::StatusOr<std::string> json =
        body([&] { return !out->cancelled() && !is_late(); });
    if (json.ok()) return json;
    return is_late() ? late_error() : json.status();
  };
  // A job is copied, so its place is shared.
  auto shared = std::make_shared<Admission::Place>(std::move(place));
  served.jobs->Add([&served, out = call.out, shared, run](bool stops) {
    const Stopwatch stopwatch;
    const bool runs = !stops && !out->cancelled();
    absl::StatusOr<std::string> json =
        runs ? NoThrow(run) : ApiError(503, "stopped", "the server stops");
    if (runs) served.admission.Took(stopwatch.seconds());
    *shared = Admission::Place();
    if (json.ok()) {
      out->Respond(200, "application/json", *std::move(json));
    } else {
      out->Fail(json.status());
    }
  });
}

}  // namespace gemma::internal
