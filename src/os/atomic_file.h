// A file that appears under its name when it is complete, and not before.

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

// Written beside its place, without a name where the file system can do so
// (even a process that is killed then leaves nothing), else under the path and
// a suffix of seven characters. Move-only.
class AtomicFile {
 public:
  // Who may read the file.
  enum class Access {
    kOwner,
    kAll,  // but for whom the process's umask shuts out
  };

  // What becomes of a file that is at the path already.
  enum class Existing {
    kReplace,
    kKeep,  // Commit fails: AlreadyExists
  };

  // Replaces what is at the path, also a link. Messages begin with `path`.
  static absl::StatusOr<AtomicFile> Create(std::string path,
                                           Access access = Access::kOwner);

  // For a path that a user named. Where it is a link, the file that the link
  // points to is replaced. What exists and is no regular file (a pipe,
  // /dev/stdout) is written directly, and then by Write alone.
  static absl::StatusOr<AtomicFile> CreateOutput(std::string path,
                                                 Access access = Access::kAll);

  // Whether `name` may be what a process that was killed while it wrote `path`
  // left beside it.
  static bool IsLeftover(std::string_view name, std::string_view path);

  // Removes what was written unless Commit succeeded.
  ~AtomicFile();
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;

  // Takes the disk space for a file of `size` bytes, all zero, which it then
  // is. Where the file system cannot, space is taken as it is written.
  absl::Status Reserve(uint64_t size);

  // Writes after what Write wrote before.
  absl::Status Write(std::span<const uint8_t> bytes);
  absl::Status Write(std::string_view bytes);
  // Writes at a place; what is left out in front is zero.
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
  bool is_direct_;         // `fd_` is that of `path_`
  uint64_t written_ = 0;   // by Write
};

// Waits until the file at `path` is on the disk, then gives it the name
// `target`, replacing what has that name.
absl::Status RenameDurably(const std::string& path, const std::string& target);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_OS_ATOMIC_FILE_H_
