// Reads the contents of one file of a zip archive.

#ifndef GEMMA_SRC_FORMATS_ZIP_STREAM_H_
#define GEMMA_SRC_FORMATS_ZIP_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "src/formats/zip.h"

namespace gemma::internal {

// Reads the contents in order. Buffers no more than the caller asks for. The
// archive's bytes must outlive it.
class ZipStream {
 public:
  explicit ZipStream(const ZipEntry& entry);
  ~ZipStream();
  ZipStream(ZipStream&&) noexcept;
  ZipStream& operator=(ZipStream&&) noexcept;

  // Bytes of contents not yet read.
  uint64_t left() const { return entry_.bytes - done_; }

  // The contents as stored in the archive, and the part already read.
  absl::Span<const uint8_t> packed() const { return entry_.packed; }
  absl::Span<const uint8_t> packed_read() const;

  // Fills `out` with the next bytes. DataLoss if fewer remain.
  absl::Status Read(absl::Span<uint8_t> out);

  // Fails if bytes are left to read or do not match the archive's checksum.
  absl::Status Finish();

 private:
  class Inflater;

  ZipEntry entry_;
  uint64_t done_ = 0;
  uint32_t crc32_ = 0;
  std::unique_ptr<Inflater> inflater_;  // null: stored
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORMATS_ZIP_STREAM_H_
