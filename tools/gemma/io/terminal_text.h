// Text for people on standard error, which may be a terminal.

#ifndef GEMMA_TOOLS_GEMMA_IO_TERMINAL_TEXT_H_
#define GEMMA_TOOLS_GEMMA_IO_TERMINAL_TEXT_H_

#include <string_view>

namespace gemma::tools {

// Returns whether standard error is a terminal that can do more than add lines:
// TERM is set, and not to "dumb".
bool TerminalCanMove();

// Returns whether TerminalCanMove() and colours are wanted: NO_COLOR is not
// set, or empty.
bool TerminalHasColours();

// Returns whether standard output is such a terminal and colours are wanted.
bool OutputHasColours();

enum class Colour { kPrompt, kNote, kOk, kWarning, kProblem };

// The texts that switch a terminal to a colour, and back.
std::string_view Begin(Colour colour);
inline constexpr std::string_view kEndColour = "\x1b[0m";

// Prints lines on standard error, escaped by PrintableLines, and in the colour
// of notes if colours are wanted. Adds the last line end if it is missing.
void Tell(std::string_view text);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_TERMINAL_TEXT_H_
