// The files that a pull must download.

#ifndef GEMMA_TOOLS_GEMMA_PULL_PULL_PLAN_H_
#define GEMMA_TOOLS_GEMMA_PULL_PULL_PLAN_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/gemma/pull/download.h"
#include "tools/gemma/pull/http.h"
#include "tools/gemma/pull/model_source.h"
#include "tools/gemma/pull/model_store.h"

namespace gemma::tools {

struct PullPlan {
  std::string revision;   // as in StoredModel
  std::string main_file;  // as in StoredModel
  std::vector<WantedFile> files;
  // Turns an HTTP status other than success into an error with a cure.
  std::function<absl::Status(long)> refusal;
};

// Packages must be in the catalogue. `sha256`: the SHA-256 that the file at a
// URL must have, or "". `stored`: the record of the model in the store, or
// nullptr. `http` must outlive the result.
absl::StatusOr<PullPlan> MakePlan(const ModelSource& source,
                                  const std::string& sha256,
                                  const StoredModel* stored, HttpClient& http,
                                  const std::string& endpoint);

// Fails with ResourceExhausted if the disk has no room for the files that are
// not yet in the model's folder.
absl::Status CheckRoom(const PullPlan& plan, const ModelStore& store,
                       const std::string& name);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_PULL_PULL_PLAN_H_
