// Downloads one file, going on where an earlier try stopped.

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

// A file to have, as far as is known before it is there.
struct WantedFile {
  std::string name;  // in the model's folder
  std::string url;
  std::optional<uint64_t> bytes;
  std::optional<Digest> digest;
  std::string known_etag;  // of the version that is there already, or ""
};

struct Downloaded {
  std::string etag;  // a strong one, or ""
  long status = 0;   // of HTTP

  bool is_complete() const { return status == 200 || status == 206; }
};

// Completes `partial`, which is then as long as the server and `file` say; its
// digest is not computed. Bytes of another version of the file are dropped, not
// completed. A server that refuses, or that has the file of `known_etag` still,
// is no error: see is_complete().
absl::StatusOr<Downloaded> Download(HttpClient& http, const WantedFile& file,
                                    PartialFile& partial, bool quiet);

// OK if the file at `path` is `file`: its size and its digest, where they are
// known. Else DataLoss that names the file, what was found and what was wanted.
absl::Status CheckContents(const std::string& path, const WantedFile& file,
                           bool quiet);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_PULL_DOWNLOAD_H_
