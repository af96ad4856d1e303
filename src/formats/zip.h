// The table of contents of zip archives: https://pkware.cachefly.net/webdocs/
// casestudies/APPNOTE.TXT. The file is not trusted.

#ifndef GEMMA_SRC_FORMATS_ZIP_H_
#define GEMMA_SRC_FORMATS_ZIP_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace gemma::internal {

// One file of an archive.
struct ZipEntry {
  bool deflated = false;  // false: stored
  uint32_t crc32 = 0;     // of the contents
  uint64_t bytes = 0;     // of the contents
  absl::Span<const uint8_t> packed;
};

using ZipEntries = std::map<std::string, ZipEntry, std::less<>>;

// Reads the table of a whole archive, with or without zip64. `bytes` must
// outlive the result. `path` is for messages. Refuses encryption, other
// compression methods, sizes that the packed bytes cannot have, names that are
// paths, duplicate names, and damage.
absl::StatusOr<ZipEntries> ParseZip(absl::Span<const uint8_t> bytes,
                                    std::string_view path);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORMATS_ZIP_H_
