#include "tools/gemma/files.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status_macros.h"
#include "tools/gemma/errors.h"
#include "tools/gemma/signals.h"

namespace gemma::tools {
namespace {

absl::StatusOr<std::string> ReadAll(int fd, std::string_view name) {
  std::string text;
  std::string buffer(64 << 10, '\0');
  for (;;) {
    GEMMA_RETURN_IF_ERROR(WaitForInput(fd));
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemError(name, errno);
    if (got == 0) return text;
    text.append(buffer, 0, static_cast<size_t>(got));
    if (text.size() > kMaxTextBytes) {
      return absl::InvalidArgumentError(absl::StrCat(
          name, ": more than ", kMaxTextBytes >> 20, " MiB of text"));
    }
  }
}

// Returns 0 or the system's error number.
int WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written >= 0) {
      bytes.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EAGAIN) {
      pollfd waiting = {fd, POLLOUT, 0};
      poll(&waiting, 1, /*timeout=*/-1);
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

}  // namespace

absl::Status WaitForInput(int fd) {
  while (!Interrupted()) {
    pollfd fds[2] = {{fd, POLLIN, 0}, {InterruptFd(), POLLIN, 0}};
    if (poll(fds, 2, /*timeout=*/-1) < 0 && errno != EINTR) {
      return SystemError(kStdinName, errno);
    }
    if (fds[0].revents != 0) return absl::OkStatus();
  }
  return InterruptedError();
}

absl::StatusOr<std::string> ReadText(std::string_view path) {
  if (path == kStdinArgument) return ReadAll(STDIN_FILENO, kStdinName);
  const std::string name(path);
  const int fd = open(name.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return SystemError(name, errno);
  absl::StatusOr<std::string> text = ReadAll(fd, name);
  close(fd);
  return text;
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  // A pipe would wait for its writer.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return SystemError(path, errno);
  struct stat info = {};
  absl::StatusOr<std::string> text =
      absl::InvalidArgumentError(absl::StrCat(path, ": not a file"));
  if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) text = ReadAll(fd, path);
  close(fd);
  return text;
}

absl::Status WriteOutput(std::string_view text) {
  const int error_number = WriteAll(STDOUT_FILENO, text);
  if (error_number == 0) return absl::OkStatus();
  if (error_number == EPIPE) return SilentError();
  return SystemError("cannot write to standard output", error_number);
}

absl::Status WriteTo(int fd, std::string_view bytes, std::string_view name) {
  const int error_number = WriteAll(fd, bytes);
  if (error_number == 0) return absl::OkStatus();
  return SystemError(absl::StrCat("cannot write to ", name), error_number);
}

absl::StatusOr<MappedFile> MappedFile::Open(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return SystemError(path, errno);
  struct stat info = {};
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    close(fd);
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a file"));
  }
  const size_t size = static_cast<size_t>(info.st_size);
  void* data = nullptr;
  int error_number = 0;
  if (size > 0) {
    data = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) error_number = errno;
  }
  close(fd);
  if (error_number != 0) return SystemError(path, error_number);
  return MappedFile({static_cast<const uint8_t*>(data), size});
}

MappedFile::~MappedFile() {
  if (bytes_.empty()) return;
  munmap(const_cast<uint8_t*>(bytes_.data()), bytes_.size());
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : bytes_(std::exchange(other.bytes_, {})) {}

absl::StatusOr<OutputFile> OutputFile::Create(const std::string& path) {
  struct stat info = {};
  const bool exists = stat(path.c_str(), &info) == 0;
  if (exists && !S_ISREG(info.st_mode)) {
    const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) return SystemError(path, errno);
    return OutputFile(fd, path, "");
  }
  std::string target = path;
  char resolved[PATH_MAX];
  // The file that a link points to is replaced, not the link.
  if (exists && realpath(path.c_str(), resolved) != nullptr) target = resolved;

  const std::string temporary = absl::StrCat(target, ".tmp.", getpid());
  const int fd =
      open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) return SystemError(temporary, errno);
  return OutputFile(fd, target, temporary);
}

OutputFile::~OutputFile() {
  if (fd_ < 0) return;
  close(fd_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      temporary_(std::move(other.temporary_)) {}

absl::Status OutputFile::Write(std::string_view bytes) {
  return WriteTo(fd_, bytes, path_);
}

absl::Status OutputFile::Commit() {
  int error_number = close(std::exchange(fd_, -1)) != 0 ? errno : 0;
  if (temporary_.empty()) {
    return error_number == 0 ? absl::OkStatus()
                             : SystemError(path_, error_number);
  }
  if (error_number == 0 && rename(temporary_.c_str(), path_.c_str()) != 0) {
    error_number = errno;
  }
  if (error_number == 0) return absl::OkStatus();
  unlink(temporary_.c_str());
  return SystemError(path_, error_number);
}

}  // namespace gemma::tools
