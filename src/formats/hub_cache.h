// The cache that Hugging Face's tools keep, with a folder for each model:
//   models--OWNER--NAME/refs/main             the name of a snapshot
//   models--OWNER--NAME/snapshots/NAME/...    links to the files in blobs

#ifndef GEMMA_SRC_FORMATS_HUB_CACHE_H_
#define GEMMA_SRC_FORMATS_HUB_CACHE_H_

#include <string>

#include "absl/status/statusor.h"

namespace gemma::internal {

// Returns the directory with the model's files: that of the snapshot that
// refs/main names or, without this file, of the only snapshot. If `directory`
// is not a folder of the cache, returns it unchanged. Errors list the
// snapshots.
absl::StatusOr<std::string> SnapshotOf(std::string directory);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORMATS_HUB_CACHE_H_
