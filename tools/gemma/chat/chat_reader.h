// What the user of a chat types, on a terminal or not.

#ifndef GEMMA_TOOLS_GEMMA_CHAT_CHAT_READER_H_
#define GEMMA_TOOLS_GEMMA_CHAT_CHAT_READER_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "tools/gemma/chat/input_history.h"
#include "tools/gemma/chat/line_editor.h"
#include "tools/gemma/io/line_reader.h"

namespace gemma::tools {

// The text between the first """ of `typed`, which it begins with, and the
// last, which it ends with; nothing if it does not end yet.
std::optional<std::string> BlockText(std::string_view typed);

struct ChatInput {
  std::string text;       // no blanks around it, not empty
  bool is_block = false;  // between """: a message, whatever it begins with
};

// From a terminal: lines with editing and history, or blocks of lines between
// """. Else every line is an input.
class ChatReader {
 public:
  // Begins with the history, where there is one. `quiet`: no hints.
  static absl::StatusOr<std::unique_ptr<ChatReader>> Create(bool quiet);

  // Whether someone types: standard input is a terminal.
  bool is_interactive() const { return is_interactive_; }

  // The next input, or nothing after the last. On a terminal, Ctrl-C clears
  // what was typed, and twice in a row where nothing was is an
  // InterruptedError; else an interrupt is.
  absl::StatusOr<std::optional<ChatInput>> Next();

 private:
  ChatReader(bool is_interactive, bool quiet)
      : is_interactive_(is_interactive), quiet_(quiet) {}

  absl::StatusOr<InputLine> ReadLine(std::string_view prompt);
  // Reads on until the block that `line` opens is complete.
  absl::StatusOr<InputLine> ReadBlock(InputLine line);
  // Whether this is the second Ctrl-C in a row that clears nothing.
  bool Leaves(const InputLine& interrupted);
  void Remember(const std::string& text);

  bool is_interactive_;
  bool quiet_;
  bool warned_ = false;  // the last line was an empty one and Ctrl-C
  InputHistory history_;
  std::unique_ptr<LineEditor> editor_;  // on terminals that can edit
  LineReader lines_;                    // elsewhere
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CHAT_CHAT_READER_H_
