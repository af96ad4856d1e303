#include "src/os/stream.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "src/os/path.h"
#include "src/os/system_error.h"

namespace gemma::internal {
namespace {

// Appends what the descriptor has to `text`.
absl::Status ReadToEnd(int fd, const std::string& path, size_t max_bytes,
                       std::string& text) {
  std::array<char, 65536> buffer;
  while (true) {
    const ssize_t count =
        Uninterrupted([&] { return read(fd, buffer.data(), buffer.size()); });
    if (count < 0) return SystemError(path, errno);
    if (count == 0) return absl::OkStatus();
    text.append(buffer.data(), static_cast<size_t>(count));
    if (text.size() > max_bytes) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, ": has more than ", max_bytes, " bytes, wanted fewer"));
    }
  }
}

}  // namespace

bool IsStream(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 &&
         (S_ISFIFO(info.st_mode) || S_ISCHR(info.st_mode));
}

absl::StatusOr<std::string> ReadStream(const std::string& path,
                                       size_t max_bytes) {
  if (absl::Status status = CheckFileName(path); !status.ok()) return status;
  const int fd =
      Uninterrupted([&] { return open(path.c_str(), O_RDONLY | O_CLOEXEC); });
  if (fd < 0) return SystemError(path, errno);
  std::string text;
  const absl::Status status = ReadToEnd(fd, path, max_bytes, text);
  close(fd);
  if (!status.ok()) return status;
  return text;
}

}  // namespace gemma::internal
