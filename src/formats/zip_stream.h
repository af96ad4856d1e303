// The contents of one file of a zip archive.

#ifndef GEMMA_SRC_FORMATS_ZIP_STREAM_H_
#define GEMMA_SRC_FORMATS_ZIP_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "src/formats/zip.h"

namespace gemma {

// Gives the contents in order, without ever holding more than was asked for.
// The archive's bytes must outlive it.
class ZipStream {
 public:
  explicit ZipStream(const ZipEntry& entry);
  ~ZipStream();
  ZipStream(ZipStream&&) noexcept;
  ZipStream& operator=(ZipStream&&) noexcept;

  // Bytes of contents that were not read yet.
  uint64_t left() const { return entry_.bytes - done_; }

  // The contents as they are in the archive, and what of that was read.
  absl::Span<const uint8_t> packed() const { return entry_.packed; }
  absl::Span<const uint8_t> packed_read() const;

  // Fills `out` with what comes next; DataLoss if that is not all there.
  absl::Status Read(absl::Span<uint8_t> out);

  // Fails unless all was read and has the archive's checksum.
  absl::Status Finish();

 private:
  class Inflater;

  ZipEntry entry_;
  uint64_t done_ = 0;
  uint32_t crc32_ = 0;
  std::unique_ptr<Inflater> inflater_;  // none: stored
};

}  // namespace gemma

#endif  // GEMMA_SRC_FORMATS_ZIP_STREAM_H_
