// A file that appears under its name when it is complete, and not before.

#ifndef GEMMA_SRC_FORMATS_ATOMIC_FILE_H_
#define GEMMA_SRC_FORMATS_ATOMIC_FILE_H_

#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gemma {

// Written beside its place, under another name. Move-only.
class AtomicFile {
 public:
  // Messages begin with `path`.
  static absl::StatusOr<AtomicFile> Create(std::string path);

  // Removes what was written unless Commit succeeded.
  ~AtomicFile();
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;

  absl::Status Write(std::span<const uint8_t> bytes);

  // Waits until the bytes are on the disk, then replaces what was at the path.
  absl::Status Commit();

 private:
  AtomicFile(int fd, std::string path, std::string temporary)
      : fd_(fd), path_(std::move(path)), temporary_(std::move(temporary)) {}

  int fd_;
  std::string path_;
  std::string temporary_;
};

}  // namespace gemma

#endif  // GEMMA_SRC_FORMATS_ATOMIC_FILE_H_
