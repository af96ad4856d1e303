#include "src/os/atomic_file.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "src/base/status_macros.h"
#include "src/os/path.h"
#include "src/os/system_error.h"

namespace gemma::internal {
namespace {

// Writes of at least this many bytes go to the disk at once, so that Commit
// waits for few.
[[maybe_unused]] constexpr size_t kLargeBytes = size_t{1} << 20;

constexpr int kMaxNames = 100;  // names to try until one is free

constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789";
constexpr size_t kSuffixLetters = 6;

// Returns a random name in the directory of `path`.
std::string TemporaryName(const std::string& path) {
  std::random_device random;
  std::uniform_int_distribution<size_t> letter(0, kLetters.size() - 1);
  std::string name = absl::StrCat(path, ".");
  for (size_t i = 0; i < kSuffixLetters; ++i) {
    name.push_back(kLetters[letter(random)]);
  }
  return name;
}

// The path of an open file in /proc. Any user may link from it. Needs no
// memory.
struct PathOf {
  explicit PathOf(int fd) {
    absl::SNPrintF(text, sizeof(text), "/proc/self/fd/%d", fd);
  }
  char text[32];
};

// Opens a file without a name. Returns -1 if the system does not support that.
int OpenUnnamed([[maybe_unused]] const std::string& directory,
                [[maybe_unused]] mode_t mode) {
#ifdef O_TMPFILE
  const int fd = Uninterrupted([&] {
    return open(directory.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, mode);
  });
  if (fd < 0 || access(PathOf(fd).text, F_OK) == 0) return fd;
  close(fd);  // without /proc, the file could never get a name
#endif
  return -1;
}

// Writes the directory's entries to the disk. If that fails, a loss of power
// may bring back the old file, complete.
void SyncDirectory(const std::string& directory) {
  const int fd = Uninterrupted([&] {
    return open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  });
  if (fd < 0) return;
  Uninterrupted([&] { return fsync(fd); });
  close(fd);
}

}  // namespace

absl::StatusOr<AtomicFile> AtomicFile::Create(std::string path, Access access) {
  GEMMA_RETURN_IF_ERROR(CheckFileName(path));
  const mode_t mode = access == Access::kOwner ? 0600 : 0666;
  int fd = OpenUnnamed(DirectoryOf(path), mode);
  if (fd >= 0) return AtomicFile(fd, std::move(path), "");
  for (int i = 0; i < kMaxNames; ++i) {
    std::string name = TemporaryName(path);
    fd = Uninterrupted([&] {
      return open(name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, mode);
    });
    if (fd >= 0) return AtomicFile(fd, std::move(path), std::move(name));
    if (errno != EEXIST) break;
  }
  return SystemError(path, errno);
}

absl::StatusOr<AtomicFile> AtomicFile::CreateOutput(std::string path,
                                                    Access access) {
  GEMMA_RETURN_IF_ERROR(CheckFileName(path));
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) return Create(std::move(path), access);
  if (!S_ISREG(info.st_mode)) {
    const int fd =
        Uninterrupted([&] { return open(path.c_str(), O_WRONLY | O_CLOEXEC); });
    if (fd < 0) return SystemError(path, errno);
    return AtomicFile(fd, std::move(path), "", /*is_direct=*/true);
  }
  char target[PATH_MAX];
  if (realpath(path.c_str(), target) == nullptr) {
    return SystemError(path, errno);
  }
  return Create(target, access);
}

bool AtomicFile::IsLeftover(std::string_view name, std::string_view path) {
  return name.size() == path.size() + 1 + kSuffixLetters &&
         name.substr(0, path.size()) == path && name[path.size()] == '.' &&
         name.find_first_not_of(kLetters, path.size() + 1) ==
             std::string_view::npos;
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  close(fd_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      temporary_(std::move(other.temporary_)),
      is_direct_(other.is_direct_),
      written_(other.written_) {}

absl::Status AtomicFile::Reserve(uint64_t size) {
  if (size > static_cast<uint64_t>(std::numeric_limits<off_t>::max())) {
    return SystemError(path_, EFBIG);
  }
  int error = ENOSYS;
#ifdef __linux__
  do {
    error = fallocate(fd_, 0, 0, static_cast<off_t>(size)) == 0 ? 0 : errno;
  } while (error == EINTR);
#endif
  if (error == 0) return absl::OkStatus();
  if (error != EOPNOTSUPP && error != ENOSYS) return SystemError(path_, error);
  if (Uninterrupted([&] { return ftruncate(fd_, static_cast<off_t>(size)); }) !=
      0) {
    return SystemError(path_, errno);
  }
  return absl::OkStatus();
}

absl::Status AtomicFile::Write(std::string_view bytes) {
  return Write(std::span<const uint8_t>(
      reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
}

absl::Status AtomicFile::Write(std::span<const uint8_t> bytes) {
  GEMMA_RETURN_IF_ERROR(is_direct_ ? WriteDirectly(bytes)
                                   : WriteAt(written_, bytes));
  written_ += bytes.size();
  return absl::OkStatus();
}

absl::Status AtomicFile::WriteDirectly(std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd_, bytes.data(), bytes.size());
    if (written == 0) return SystemError(path_, EIO);
    if (written > 0) {
      bytes = bytes.subspan(static_cast<size_t>(written));
    } else if (errno == EAGAIN) {
      pollfd waiting = {fd_, POLLOUT, 0};
      poll(&waiting, 1, /*timeout=*/-1);
    } else if (errno != EINTR) {
      return SystemError(path_, errno);
    }
  }
  return absl::OkStatus();
}

absl::Status AtomicFile::WriteAt(uint64_t offset,
                                 std::span<const uint8_t> bytes) {
  [[maybe_unused]] const uint64_t begin = offset;
  while (!bytes.empty()) {
    const ssize_t written =
        pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return SystemError(path_, errno);
    if (written == 0) return SystemError(path_, EIO);
    offset += static_cast<uint64_t>(written);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
#ifdef __linux__
  if (offset - begin >= kLargeBytes) {
    sync_file_range(fd_, static_cast<off_t>(begin),
                    static_cast<off_t>(offset - begin), SYNC_FILE_RANGE_WRITE);
  }
#endif
  return absl::OkStatus();
}

absl::Status AtomicFile::Commit(Existing existing) {
  if (is_direct_) {
    // An interrupted close has closed the file all the same.
    if (close(std::exchange(fd_, -1)) == 0 || errno == EINTR) {
      return absl::OkStatus();
    }
    return SystemError(path_, errno);
  }
  const std::string directory = DirectoryOf(path_);
  if (Uninterrupted([&] { return fsync(fd_); }) != 0) {
    return SystemError(path_, errno);
  }
  GEMMA_RETURN_IF_ERROR(existing == Existing::kKeep ? Keep() : Replace());
  close(std::exchange(fd_, -1));
  SyncDirectory(directory);
  return absl::OkStatus();
}

absl::Status AtomicFile::Keep() {
  if (temporary_.empty()) return Link(path_);
#if defined(__linux__) || defined(_WIN32)
  if (renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(),
                RENAME_NOREPLACE) == 0) {
    return absl::OkStatus();
  }
  if (errno != EINVAL && errno != ENOSYS) return SystemError(path_, errno);
#endif
  // The system does not support this. Making a link replaces nothing either.
  if (link(temporary_.c_str(), path_.c_str()) != 0) {
    return SystemError(path_, errno);
  }
  unlink(temporary_.c_str());
  return absl::OkStatus();
}

absl::Status AtomicFile::Replace() {
  if (temporary_.empty()) {
    // If nothing is replaced, the file needs no temporary name.
    const absl::Status status = Link(path_);
    if (!absl::IsAlreadyExists(status)) return status;
    GEMMA_RETURN_IF_ERROR(NameTemporary());
  }
  if (rename(temporary_.c_str(), path_.c_str()) == 0) return absl::OkStatus();
  return SystemError(path_, errno);
}

absl::Status AtomicFile::Link(const std::string& name) const {
  if (linkat(AT_FDCWD, PathOf(fd_).text, AT_FDCWD, name.c_str(),
             AT_SYMLINK_FOLLOW) == 0) {
    return absl::OkStatus();
  }
  return SystemError(path_, errno);
}

// Making a link replaces nothing, so a file that replaces another needs a
// temporary name first.
absl::Status AtomicFile::NameTemporary() {
  if (!temporary_.empty()) return absl::OkStatus();
  absl::Status status;
  for (int i = 0; i < kMaxNames; ++i) {
    std::string name = TemporaryName(path_);
    status = Link(name);
    if (status.ok()) temporary_ = std::move(name);
    if (!absl::IsAlreadyExists(status)) break;
  }
  return status;
}

absl::Status RenameDurably(const std::string& path, const std::string& target) {
  const int fd =
      Uninterrupted([&] { return open(path.c_str(), O_RDONLY | O_CLOEXEC); });
  if (fd < 0) return SystemError(path, errno);
  const int error = Uninterrupted([&] { return fsync(fd); }) == 0 ? 0 : errno;
  close(fd);
  if (error != 0) return SystemError(path, error);
  if (rename(path.c_str(), target.c_str()) != 0) {
    return SystemError(target, errno);
  }
  SyncDirectory(DirectoryOf(target));
  return absl::OkStatus();
}

}  // namespace gemma::internal
