// Text for people on standard error, which may be a terminal.

#ifndef GEMMA_TOOLS_GEMMA_IO_TERMINAL_TEXT_H_
#define GEMMA_TOOLS_GEMMA_IO_TERMINAL_TEXT_H_

#include <string_view>

namespace gemma::tools {

// Whether standard error is a terminal that can do more than add lines: TERM is
// set, and not to "dumb".
bool TerminalCanMove();

// Whether colours are welcome there: NO_COLOR is not set, or empty.
bool TerminalHasColours();

// The same of standard output.
bool OutputHasColours();

enum class Colour { kPrompt, kNote, kOk, kWarning, kProblem };

// What switches to a colour, and what ends it.
std::string_view Begin(Colour colour);
inline constexpr std::string_view kEndColour = "\x1b[0m";

// Prints lines on standard error, by PrintableLines and, where there are
// colours, as a note. Adds the last line end if it lacks.
void Tell(std::string_view text);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_TERMINAL_TEXT_H_
