#include "tools/gemma/io/terminal_text.h"

#include <unistd.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "tools/gemma/io/errors.h"
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

bool OutputHasColours() {
  return isatty(STDOUT_FILENO) == 1 && HasTerminalType() && WantsColours();
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
