#include "tools/gemma/line_reader.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tools/gemma/errors.h"
#include "tools/gemma/files.h"

namespace gemma::tools {

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
    if (searched > kMaxTextBytes) {
      return absl::InvalidArgumentError(absl::StrCat(
          kStdinName, ": a line of more than ", kMaxTextBytes >> 20, " MiB"));
    }
    GEMMA_TOOLS_RETURN_IF_ERROR(WaitForInput(STDIN_FILENO));
    char bytes[4096];
    const ssize_t got = read(STDIN_FILENO, bytes, sizeof(bytes));
    if (got < 0 && errno != EINTR) return SystemError(kStdinName, errno);
    if (got == 0) at_end_ = true;
    if (got > 0) buffer_.append(bytes, static_cast<size_t>(got));
  }
}

}  // namespace gemma::tools
