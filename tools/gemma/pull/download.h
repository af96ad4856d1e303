// Downloads one file, continuing where an earlier attempt stopped.

#ifndef GEMMA_TOOLS_GEMMA_PULL_DOWNLOAD_H_
#define GEMMA_TOOLS_GEMMA_PULL_DOWNLOAD_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/gemma/pull/digest.h"
#include "tools/gemma/pull/http.h"
#include "tools/gemma/pull/partial_file.h"

namespace gemma::tools {

// A file to download, and what is known about it before the download.
struct WantedFile {
  std::string name;  // in the model's folder
  std::string url;
  std::optional<uint64_t> bytes;
  std::optional<Digest> digest;
  std::string known_etag;  // of the version on disk, or ""
};

struct Downloaded {
  std::string etag;  // a strong one, or ""
  long status = 0;   // HTTP status

  bool is_complete() const { return status == 200 || status == 206; }
};

// Completes `partial` to the size that the server and `file` state, without
// checking its digest. If its bytes belong to a different version of the file,
// starts again from the first byte. Returns OK, with is_complete() false, if
// the server refuses or its file still has `known_etag`.
absl::StatusOr<Downloaded> Download(HttpClient& http, const WantedFile& file,
                                    PartialFile& partial, bool quiet);

// Checks the size and the digest of the file at `path`, where `file` states
// them. A DataLoss error names the file, what was found and what was wanted.
absl::Status CheckContents(const std::string& path, const WantedFile& file,
                           bool quiet);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_PULL_DOWNLOAD_H_
