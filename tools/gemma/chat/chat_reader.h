// Reads the input of a chat, from a terminal or not.

#ifndef GEMMA_TOOLS_GEMMA_CHAT_CHAT_READER_H_
#define GEMMA_TOOLS_GEMMA_CHAT_CHAT_READER_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "tools/gemma/chat/edited_lines.h"
#include "tools/gemma/io/line_reader.h"

namespace gemma::tools {

// The text of a block, without blanks at its ends. `typed` begins with """; the
// block ends at """ at the end of `typed`. Nullopt if it does not end yet.
std::optional<std::string> BlockText(std::string_view typed);

struct ChatInput {
  std::string text;       // not empty, no blanks at its ends
  bool is_block = false;  // between """: a message even if it begins with "/"
};

// On a terminal, an input is a line, with editing and history, or a block of
// lines between """ and """. Elsewhere, each line is an input.
class ChatReader {
 public:
  // Loads the history if lines are edited. `quiet`: prints no hints.
  static absl::StatusOr<std::unique_ptr<ChatReader>> Create(bool quiet);

  // Whether standard input is a terminal.
  bool is_interactive() const { return is_interactive_; }

  // The next input, or nullopt at the end. On a terminal, Ctrl-C clears the
  // line; the second in a row at an empty prompt is an InterruptedError.
  // Elsewhere, the first interrupt is.
  absl::StatusOr<std::optional<ChatInput>> Next();

 private:
  ChatReader(bool is_interactive, bool quiet)
      : is_interactive_(is_interactive), quiet_(quiet) {}

  absl::StatusOr<InputLine> ReadLine(std::string_view prompt);
  // Reads on until the block that `line` opens is complete.
  absl::StatusOr<InputLine> ReadBlock(InputLine line);
  // Whether this is the second Ctrl-C in a row at an empty prompt.
  bool Leaves(const InputLine& interrupted);
  void Remember(const std::string& text);

  bool is_interactive_;
  bool quiet_;
  bool warned_ = false;  // the last input was Ctrl-C at an empty prompt
  std::unique_ptr<EditedLines> editor_;  // on terminals that can edit
  LineReader lines_;                     // elsewhere
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CHAT_CHAT_READER_H_
