#include "tools/gemma/io/terminal_text.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "src/base/utf8.h"
#include "tools/gemma/io/errors.h"
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

}  // namespace

bool TerminalCanMove() { return StderrIsTerminal() && HasTerminalType(); }

bool TerminalHasColours() { return TerminalCanMove() && WantsColours(); }

bool OutputIsTerminal() {
  return OutputFile::Current() == nullptr && isatty(STDOUT_FILENO) == 1;
}

bool OutputCanMove() { return OutputIsTerminal() && HasTerminalType(); }

bool OutputHasColours() { return OutputCanMove() && WantsColours(); }

size_t OutputColumns() {
  winsize size = {};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
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
  // One write, so that lines of several processes do not mix.
  if (TerminalHasColours()) {
    lines = absl::StrCat(Begin(Colour::kNote), lines, kEndColour);
  }
  ShowPrompt(absl::StrCat(lines, "\n"));
}

}  // namespace gemma::tools
