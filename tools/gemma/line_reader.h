// Lines of standard input.

#ifndef GEMMA_TOOLS_GEMMA_LINE_READER_H_
#define GEMMA_TOOLS_GEMMA_LINE_READER_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace gemma::tools {

class LineReader {
 public:
  // The next line without its end, or nothing after the last. An interrupt
  // ends the wait with InterruptedError.
  absl::StatusOr<std::optional<std::string>> Next();

 private:
  std::string buffer_;  // read, but not yet returned
  bool at_end_ = false;
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_LINE_READER_H_
