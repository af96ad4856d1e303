// Lines that come one by one, of standard input or a file.

#ifndef GEMMA_TOOLS_GEMMA_IO_LINE_READER_H_
#define GEMMA_TOOLS_GEMMA_IO_LINE_READER_H_

#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gemma::tools {

class LineReader {
 public:
  LineReader();  // of standard input
  // Of a file, or of standard input if `path` is "-".
  static absl::StatusOr<LineReader> Open(const std::string& path);

  ~LineReader();
  LineReader(LineReader&& other) noexcept;
  LineReader& operator=(LineReader&&) = delete;

  // The next line without its end, or nothing after the last. An interrupt
  // ends the wait with InterruptedError.
  absl::StatusOr<std::optional<std::string>> Next();

  // Whether Next would return a line without waiting.
  absl::StatusOr<bool> Ready();

  // How many lines come, if that can be known: the rest of a regular file.
  std::optional<size_t> Count() const;

 private:
  LineReader(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}

  // Reads some more, waiting for it.
  absl::Status Fill();

  int fd_;
  std::string name_;    // for messages
  std::string buffer_;  // read, but not yet returned
  bool at_end_ = false;
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_LINE_READER_H_
