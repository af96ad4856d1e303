#include "tools/gemma/io/terminal_text.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "src/base/utf8.h"
#include "tools/gemma/io/character_width.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/line_wrapper.h"
#include "tools/gemma/io/output_file.h"
#include "tools/gemma/io/progress.h"
#include "tools/gemma/io/system_text.h"

namespace gemma::tools {
namespace {

// Returns whether the terminal can do more than add lines.
bool HasTerminalType() {
  const std::string term = EnvironmentValue("TERM");
  return !term.empty() && term != "dumb";
}

bool WantsColours() { return EnvironmentValue("NO_COLOR").empty(); }

// The width of the terminal, or 0 if the file is not a terminal.
size_t ColumnsOf(int fd) {
  winsize size = {};
  return ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

// Where the text goes on that is broken off a line; see Broken.
size_t HangingIndent(std::string_view line, size_t columns) {
  const size_t first = line.find_first_not_of(' ');
  if (first == std::string_view::npos) return 0;
  const size_t gap = first > 0 ? line.find("  ", first) : line.npos;
  const size_t second = line.find_first_not_of(' ', gap);
  const bool fits = second != std::string_view::npos && 2 * second < columns;
  return fits ? second : first + (gap < line.size() ? 2 : 0);
}

}  // namespace

bool TerminalCanMove() { return StderrIsTerminal() && HasTerminalType(); }

bool TerminalHasColours() { return TerminalCanMove() && WantsColours(); }

bool OutputIsTerminal() {
  return OutputFile::Current() == nullptr && isatty(STDOUT_FILENO) == 1;
}

bool OutputCanMove() { return OutputIsTerminal() && HasTerminalType(); }

bool OutputHasColours() { return OutputCanMove() && WantsColours(); }

size_t OutputColumns() { return ColumnsOf(STDOUT_FILENO); }

size_t ErrorColumns() {
  return TerminalCanMove() ? ColumnsOf(STDERR_FILENO) : 0;
}

std::string Broken(std::string_view text, size_t columns, size_t indent) {
  if (columns == 0) return std::string(text);
  std::string broken;
  LineWrapper lines([=] { return columns; },
                    [&](std::string_view part) { broken += part; });
  for (const std::string_view line : absl::StrSplit(text, '\n')) {
    if (line.data() != text.data()) lines.Write("\n");
    lines.SetIndent(std::max(indent, HangingIndent(line, columns)));
    lines.Write(line);
  }
  lines.Flush();
  return broken;
}

std::string_view Cut(std::string_view line, size_t columns) {
  if (columns == 0) return line;
  size_t used = 0;
  for (size_t at = 0; at < line.size();) {
    const size_t end = CharacterEnd(line, at);
    used += CharacterWidth(line.substr(at, end - at));
    if (used > columns) return line.substr(0, at);
    at = end;
  }
  return line;
}

std::string PrintablePieces::Next(std::string_view piece) {
  incomplete_ += piece;
  // A character has at most four bytes.
  size_t whole = incomplete_.size();
  for (size_t back = 1; back <= std::min<size_t>(3, incomplete_.size());
       ++back) {
    const size_t at = incomplete_.size() - back;
    const size_t length = Utf8Length(incomplete_[at]);
    if (length == 0) continue;  // not the first byte
    if (length > back &&
        Utf8PrefixLength(std::string_view(incomplete_).substr(at)) == back) {
      whole = at;
    }
    break;
  }
  const std::string text =
      PrintableLines(std::string_view(incomplete_).substr(0, whole));
  incomplete_.erase(0, whole);
  return text;
}

std::string PrintablePieces::Rest() {
  return PrintableLines(std::exchange(incomplete_, ""));
}

std::string_view Begin(Colour colour) {
  switch (colour) {
    case Colour::kPrompt:
      return "\x1b[1;34m";
    case Colour::kNote:
      return "\x1b[2m";
    case Colour::kOk:
      return "\x1b[32m";
    case Colour::kWarning:
      return "\x1b[33m";
    case Colour::kProblem:
      return "\x1b[1;31m";
  }
  return "";
}

void Tell(std::string_view text) {
  std::string lines = PrintableLines(text);
  if (absl::EndsWith(lines, "\n")) lines.pop_back();
  lines = Broken(lines, ErrorColumns());
  // One write, so that lines of several processes do not mix.
  if (TerminalHasColours()) {
    lines = absl::StrCat(Begin(Colour::kNote), lines, kEndColour);
  }
  ShowPrompt(absl::StrCat(lines, "\n"));
}

}  // namespace gemma::tools
