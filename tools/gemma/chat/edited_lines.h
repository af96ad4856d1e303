// Lines that the user of a terminal can edit, and recall from a history.

#ifndef GEMMA_TOOLS_GEMMA_CHAT_EDITED_LINES_H_
#define GEMMA_TOOLS_GEMMA_CHAT_EDITED_LINES_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gemma::tools {

// The event that ended a line of input.
enum class LineEnd { kEnter, kInterrupt, kEndOfInput };

struct InputLine {
  LineEnd end = LineEnd::kEnter;
  std::string text;  // without its line end; a paste may contain others
};

class EditedLines {
 public:
  virtual ~EditedLines() = default;

  // Shows `prompt`, which must be ASCII, and reads a line. Ctrl-C and SIGINT
  // end it with LineEnd::kInterrupt; Interrupted() is false afterwards.
  // InterruptedError for other signals, ResourceExhausted if memory runs out.
  virtual absl::StatusOr<InputLine> Read(std::string_view prompt) = 0;

  // Adds an input to the history. An error concerns only the history's file,
  // which is not used after that.
  virtual absl::Status Remember(const std::string& text) = 0;
};

// A function that opens the editor and its history, or returns nullptr if lines
// cannot be edited on this terminal. `quiet`: prints no notes.
// ResourceExhausted if there is no memory or file descriptor for it.
using OpenEditedLines =
    absl::StatusOr<std::unique_ptr<EditedLines>> (*)(bool quiet);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CHAT_EDITED_LINES_H_
