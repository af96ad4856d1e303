// Requests that a job thread answers.

#ifndef GEMMA_SRC_SERVE_JOB_H_
#define GEMMA_SRC_SERVE_JOB_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/serve/admission.h"
#include "src/serve/call.h"

namespace gemma::internal {

// Computes the JSON of a response. Calls `goes_on` now and then, and ends with
// any error once it returns false.
using JobBody = std::function<absl::StatusOr<std::string>(
    const std::function<bool()>& goes_on)>;

// Gives the job to the model's thread, which writes the response. The body of
// the job may use `served`. A reader that leaves ends it, and so does the
// deadline, with status 504. `place`: counts the job until it ends.
void StartJob(Served& served, const Call& call, double timeout,
              Admission::Place place, JobBody body);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SERVE_JOB_H_
