#include "tools/gemma/io/files.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/os/system_error.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/output_file.h"
#include "tools/gemma/io/signals.h"
#include "tools/gemma/io/text.h"

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
      return absl::InvalidArgumentError(
          absl::StrCat(name, ": more than ", Bytes(kMaxTextBytes), " of text"));
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

void NoteWaiting(std::string_view note) {
  constexpr int kPatienceMs = 2000;
  if (IsQuiet() || isatty(STDIN_FILENO) == 1) return;
  pollfd input = {STDIN_FILENO, POLLIN, 0};
  if (poll(&input, 1, kPatienceMs) == 0) Note(note);
}

bool StdinIsRedirected() {
  struct stat info;
  if (fstat(STDIN_FILENO, &info) != 0) return false;
  return S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode) ||
         S_ISREG(info.st_mode);
}

std::string_view InputName(std::string_view path) {
  return path == kStdinArgument ? kStdinName : path;
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

absl::StatusOr<std::string> ReadUtf8(std::string_view path,
                                     std::string_view waiting) {
  if (path == kStdinArgument && !waiting.empty()) NoteWaiting(waiting);
  GEMMA_ASSIGN_OR_RETURN(std::string text, ReadText(path));
  GEMMA_RETURN_IF_ERROR(CheckUtf8(text, InputName(path)));
  return text;
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  // O_NONBLOCK: opening a pipe would wait for its writer.
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
  if (OutputFile* file = OutputFile::Current()) return file->Write(text);
  const int error_number = WriteAll(STDOUT_FILENO, text);
  if (error_number == 0) return absl::OkStatus();
  if (error_number == EPIPE) return SilentError();
  return WriteError("standard output", error_number);
}

absl::Status WriteResult(std::string_view text) {
  GEMMA_RETURN_IF_ERROR(WriteOutput(text));
  if (OutputFile* file = OutputFile::Current()) file->set_whole();
  return absl::OkStatus();
}

absl::Status WriteSummary(std::string_view line) {
  if (IsQuiet()) return absl::OkStatus();
  return WriteOutput(absl::StrCat(line, "\n"));
}

absl::Status WriteTo(int fd, std::string_view bytes, std::string_view name) {
  const int error_number = WriteAll(fd, bytes);
  if (error_number == 0) return absl::OkStatus();
  return WriteError(name, error_number);
}

}  // namespace gemma::tools
