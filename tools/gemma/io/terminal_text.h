// Text for people on a terminal: on standard error, and on standard output if
// that is one.

#ifndef GEMMA_TOOLS_GEMMA_IO_TERMINAL_TEXT_H_
#define GEMMA_TOOLS_GEMMA_IO_TERMINAL_TEXT_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace gemma::tools {

// Returns whether standard error is a terminal that can do more than add lines:
// TERM is set, and not to "dumb".
bool TerminalCanMove();

// Returns whether TerminalCanMove() and colours are wanted: NO_COLOR is not
// set, or empty.
bool TerminalHasColours();

// Returns whether results go to a terminal: standard output is one, and no
// OutputFile takes its place.
bool OutputIsTerminal();

// Returns whether standard output is such a terminal and can do more than add
// lines.
bool OutputCanMove();

// Returns whether OutputCanMove() and colours are wanted.
bool OutputHasColours();

// Returns the width of the terminal at standard output at the moment, or 0 if
// it has none.
size_t OutputColumns();

// Returns the width of the terminal at standard error at the moment, or 0 if
// standard error is not a terminal, or one that can only add lines.
size_t ErrorColumns();

// Breaks the lines of a printable text between words, to fit into a terminal of
// so many columns; 0: returns it unchanged. The rest of a broken line begins
// below its first word, or, if the line begins with blanks, below its second
// column, which follows two blanks; `indent`: not before this column.
std::string Broken(std::string_view text, size_t columns, size_t indent = 0);

// The beginning of a printable line that fits into so many columns; 0: all.
std::string_view Cut(std::string_view line, size_t columns);

// Makes a text printable that comes in pieces, as PrintableLines does. The last
// character of a piece may be incomplete; it then comes with the next piece.
class PrintablePieces {
 public:
  std::string Next(std::string_view piece);
  // An incomplete character at the end of all pieces.
  std::string Rest();

 private:
  std::string incomplete_;
};

enum class Colour { kPrompt, kNote, kOk, kWarning, kProblem };

// The texts that switch a terminal to a colour, and back.
std::string_view Begin(Colour colour);
inline constexpr std::string_view kEndColour = "\x1b[0m";

// Prints lines on standard error, escaped by PrintableLines, broken between
// words on a terminal, and in the colour of notes if colours are wanted. Adds
// the last line end if it is missing.
void Tell(std::string_view text);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_TERMINAL_TEXT_H_
