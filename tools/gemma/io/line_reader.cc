#include "tools/gemma/io/line_reader.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/os/system_error.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/text.h"

namespace gemma::tools {

LineReader::LineReader() : LineReader(STDIN_FILENO, std::string(kStdinName)) {}

absl::StatusOr<LineReader> LineReader::Open(const std::string& path) {
  if (path == kStdinArgument) return LineReader();
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return SystemError(path, errno);
  return LineReader(fd, path);
}

LineReader::~LineReader() {
  if (fd_ >= 0 && fd_ != STDIN_FILENO) close(fd_);
}

LineReader::LineReader(LineReader&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      name_(std::move(other.name_)),
      buffer_(std::move(other.buffer_)),
      at_end_(other.at_end_) {}

absl::StatusOr<std::optional<std::string>> LineReader::Next() {
  size_t searched = 0;
  for (;;) {
    const size_t end = buffer_.find('\n', searched);
    if (end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      if (!line.empty() && line.back() == '\r') line.pop_back();
      return line;
    }
    if (at_end_) {
      if (buffer_.empty()) return std::nullopt;
      return std::exchange(buffer_, "");
    }
    searched = buffer_.size();
    GEMMA_RETURN_IF_ERROR(Fill());
  }
}

absl::StatusOr<bool> LineReader::Ready() {
  while (buffer_.find('\n') == std::string::npos) {
    if (at_end_) return !buffer_.empty();
    pollfd now = {fd_, POLLIN, 0};
    if (poll(&now, 1, /*timeout=*/0) < 1) return false;
    GEMMA_RETURN_IF_ERROR(Fill());
  }
  return true;
}

std::optional<size_t> LineReader::Count() const {
  struct stat info = {};
  if (fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  const off_t begin = lseek(fd_, 0, SEEK_CUR);
  std::string bytes(64 << 10, '\0');
  size_t lines = 0;
  char last = '\n';
  for (off_t at = begin;;) {
    const ssize_t got = pread(fd_, bytes.data(), bytes.size(), at);
    if (got <= 0) return lines + (last == '\n' ? 0 : 1);
    lines += static_cast<size_t>(
        std::count(bytes.begin(), bytes.begin() + got, '\n'));
    last = bytes[static_cast<size_t>(got) - 1];
    at += got;
  }
}

absl::Status LineReader::Fill() {
  if (buffer_.size() > kMaxTextBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(name_, ": a line of more than ", Bytes(kMaxTextBytes)));
  }
  GEMMA_RETURN_IF_ERROR(WaitForInput(fd_));
  char bytes[4096];
  const ssize_t got = read(fd_, bytes, sizeof(bytes));
  if (got < 0 && errno != EINTR) return SystemError(name_, errno);
  if (got == 0) at_end_ = true;
  if (got > 0) buffer_.append(bytes, static_cast<size_t>(got));
  return absl::OkStatus();
}

}  // namespace gemma::tools
