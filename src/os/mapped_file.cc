#include "src/os/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gemma/error_reason.h"
#include "src/base/sizes.h"
#include "src/os/path.h"
#include "src/os/system_error.h"

namespace gemma::internal {
namespace {

absl::Status CheckRegular(const std::string& path, const struct stat& info) {
  if (S_ISREG(info.st_mode)) return absl::OkStatus();
  const char* found = "a special file";
  if (S_ISDIR(info.st_mode)) found = "a directory";
  if (S_ISFIFO(info.st_mode)) found = "a pipe";
  if (S_ISSOCK(info.st_mode)) found = "a socket";
  if (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode)) found = "a device";
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": is ", found, ", wanted a regular file"));
}

// Closes a file descriptor at the end of a scope.
class Closer {
 public:
  explicit Closer(int fd) : fd_(fd) {}
  ~Closer() { close(fd_); }
  Closer(const Closer&) = delete;
  Closer& operator=(const Closer&) = delete;

 private:
  int fd_;
};

}  // namespace

absl::StatusOr<MappedFile> MappedFile::Open(std::string path) {
  if (absl::Status status = CheckFileName(path); !status.ok()) return status;
  // Check before opening, because opening a device may have effects and opening
  // a pipe may wait. Check again afterwards, because the file may have been
  // replaced in between.
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    const int error = errno;
    if (absl::Status status = CheckLink(path); !status.ok()) return status;
    return SystemError(path, error);
  }
  if (absl::Status status = CheckRegular(path, info); !status.ok()) {
    return status;
  }
  const int fd = Uninterrupted(
      [&] { return open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); });
  if (fd < 0) return SystemError(path, errno);
  const Closer closer(fd);
  if (fstat(fd, &info) != 0) return SystemError(path, errno);
  if (absl::Status status = CheckRegular(path, info); !status.ok()) {
    return status;
  }
  if (info.st_size <= 0) {
    return WithReason(
        absl::InvalidArgumentError(absl::StrCat(path, ": is empty")),
        ErrorReason::kIncompleteFile);
  }
  const uint64_t size = static_cast<uint64_t>(info.st_size);
  if (size > std::numeric_limits<size_t>::max()) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path, ": ", size, " bytes are too many to map"));
  }
  void* data = mmap(nullptr, static_cast<size_t>(size), PROT_READ, MAP_PRIVATE,
                    fd, /*offset=*/0);
  if (data == MAP_FAILED) return SystemError(path, errno);
  return MappedFile(std::move(path), static_cast<const uint8_t*>(data),
                    static_cast<size_t>(size));
}

MappedFile::~MappedFile() { Unmap(); }

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  if (this != &other) {
    Unmap();
    path_ = std::move(other.path_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

void MappedFile::Unmap() {
  if (data_ != nullptr) munmap(const_cast<uint8_t*>(data_), size_);
}

void MappedFile::Release(absl::Span<const uint8_t> part) const {
  Advise(part, MADV_DONTNEED);
}

void MappedFile::ExpectRandomReads(absl::Span<const uint8_t> part) const {
  Advise(part, MADV_RANDOM);
}

void MappedFile::Advise(absl::Span<const uint8_t> part, int advice) const {
  // Compare addresses as numbers, because `part` may point anywhere.
  const uintptr_t file_begin = reinterpret_cast<uintptr_t>(data_);
  const uintptr_t begin = reinterpret_cast<uintptr_t>(part.data());
  if (begin < file_begin || begin - file_begin > size_ ||
      part.size() > size_ - (begin - file_begin)) {
    return;
  }
  const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  // The mapping starts on a page, so these are offsets of pages in the file.
  const size_t offset = begin - file_begin;
  const size_t first = RoundUp(offset, page);
  size_t last = (offset + part.size()) / page * page;
  // The rest of the file's last page belongs to nothing else.
  if (offset + part.size() == size_) last = size_;
  if (first >= last) return;
  // A failure only costs memory.
  madvise(const_cast<uint8_t*>(data_) + first, last - first, advice);
}

}  // namespace gemma::internal
