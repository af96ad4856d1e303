// Fetches the files of a model into its folder in the store.

#ifndef GEMMA_TOOLS_GEMMA_PULL_PULLER_H_
#define GEMMA_TOOLS_GEMMA_PULL_PULLER_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "tools/gemma/pull/download.h"
#include "tools/gemma/pull/http.h"
#include "tools/gemma/pull/model_source.h"
#include "tools/gemma/pull/model_store.h"
#include "tools/gemma/pull/partial_file.h"
#include "tools/gemma/pull/pull_plan.h"

namespace gemma::tools {

class Puller {
 public:
  // `stored`: the record of the model in the store, if there is one. All
  // references must outlive the object.
  Puller(const ModelSource& source, const ModelStore& store,
         std::optional<StoredModel> stored, HttpClient& http, bool quiet)
      : source_(source),
        store_(store),
        stored_(std::move(stored)),
        http_(http),
        quiet_(quiet) {}

  // Returns the new record. Until all files are fetched, those of an older pull
  // stay as they are.
  absl::StatusOr<StoredModel> Pull(const PullPlan& plan);

 private:
  std::string PathOf(const std::string& file) const {
    return absl::StrCat(store_.FolderOf(source_.name), "/", file);
  }

  // The record of a file that is in its place, or nullptr.
  const StoredFile* FindStored(const std::string& name) const;

  // A file of the model. It is either in its place already, or `partial` holds
  // it and must be committed.
  struct FetchedFile {
    StoredFile stored;
    std::optional<PartialFile> partial;
  };

  absl::StatusOr<FetchedFile> Fetch(const PullPlan& plan, WantedFile file);
  // Completes `partial`. Returns false if the file in its place is up to date.
  absl::StatusOr<bool> Transfer(const PullPlan& plan, const WantedFile& file,
                                PartialFile& partial, StoredFile* stored);
  absl::Status CheckFetched(const WantedFile& file, const PartialFile& partial);

  // Moves all files to their places. Until then, the record says that the model
  // is incomplete.
  absl::Status Commit(std::vector<FetchedFile>& files, StoredModel& model);

  const ModelSource& source_;
  const ModelStore& store_;
  const std::optional<StoredModel> stored_;
  HttpClient& http_;
  const bool quiet_;
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_PULL_PULLER_H_
