// Reads standard input or a file line by line.

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
  LineReader();  // reads standard input
  // Reads a file, or standard input if `path` is "-".
  static absl::StatusOr<LineReader> Open(const std::string& path);

  ~LineReader();
  LineReader(LineReader&& other) noexcept;
  LineReader& operator=(LineReader&&) = delete;

  // Returns the next line without its line end, or nullopt after the last line.
  // Returns InterruptedError at an interrupt.
  absl::StatusOr<std::optional<std::string>> Next();

  // Returns whether Next would return a line without waiting.
  absl::StatusOr<bool> Ready();

  // Returns the number of lines in the rest of a regular file, or nullopt for
  // other files. Call this before any line is read.
  std::optional<size_t> Count() const;

 private:
  LineReader(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}

  // Waits for more input and reads it.
  absl::Status Fill();

  int fd_;
  std::string name_;    // for messages
  std::string buffer_;  // read, but not yet returned
  bool at_end_ = false;
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_LINE_READER_H_
