// A file that appears under its name only when it is complete.

#ifndef GEMMA_SRC_OS_ATOMIC_FILE_H_
#define GEMMA_SRC_OS_ATOMIC_FILE_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gemma::internal {

// Writes to a file in the same directory. It has no name if the file system
// supports that; then even a killed process leaves nothing. Otherwise its name
// is the path and a suffix of seven characters. Move-only.
class AtomicFile {
 public:
  // The users who may read the file.
  enum class Access {
    kOwner,
    kAll,  // except users that the process's umask excludes
  };

  // What to do if the path already exists.
  enum class Existing {
    kReplace,
    kKeep,  // Commit fails with AlreadyExists
  };

  // Commit replaces the file or link at the path. Messages begin with `path`.
  static absl::StatusOr<AtomicFile> Create(std::string path,
                                           Access access = Access::kOwner);

  // For a path that a user named. If it is a link, replaces the file that the
  // link points to. If the path exists and is not a regular file (a pipe,
  // /dev/stdout), writes to it directly; then only Write may be used.
  static absl::StatusOr<AtomicFile> CreateOutput(std::string path,
                                                 Access access = Access::kAll);

  // Whether a process that was killed while it wrote `path` may have left a
  // file `name` in its directory.
  static bool IsLeftover(std::string_view name, std::string_view path);

  // Removes the temporary file if Commit did not succeed.
  ~AtomicFile();
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;

  // Reserves disk space and sets the file's size to `size` bytes, all zero. If
  // the file system cannot reserve space, writes take it as needed.
  absl::Status Reserve(uint64_t size);

  // Appends to the bytes of earlier calls of Write.
  absl::Status Write(std::span<const uint8_t> bytes);
  absl::Status Write(std::string_view bytes);
  // Writes at an offset. Bytes before it that were never written are zero.
  absl::Status WriteAt(uint64_t offset, std::span<const uint8_t> bytes);

  // Waits until the bytes are on the disk, then gives the file its name.
  absl::Status Commit(Existing existing = Existing::kReplace);

 private:
  AtomicFile(int fd, std::string path, std::string temporary,
             bool is_direct = false)
      : fd_(fd),
        path_(std::move(path)),
        temporary_(std::move(temporary)),
        is_direct_(is_direct) {}

  absl::Status WriteDirectly(std::span<const uint8_t> bytes);
  absl::Status Keep();
  absl::Status Replace();
  absl::Status Link(const std::string& name) const;
  absl::Status NameTemporary();

  int fd_;
  std::string path_;
  std::string temporary_;  // empty: the file has no name
  bool is_direct_;         // `fd_` is the file at `path_`
  uint64_t written_ = 0;   // by Write
};

// Waits until the file at `path` is on the disk, then renames it to `target`.
// Replaces a file that has that name.
absl::Status RenameDurably(const std::string& path, const std::string& target);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_OS_ATOMIC_FILE_H_
