#include "tools/gemma/terminal_text.h"

#include <unistd.h>

#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tools/gemma/errors.h"
#include "tools/gemma/progress.h"
#include "tools/gemma/system_text.h"

namespace gemma::tools {
namespace {

// A terminal that can do more than add lines.
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

std::string Printable(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    const auto next =
        static_cast<uint8_t>(i + 1 < text.size() ? text[i + 1] : 0);
    if (byte == 0xC2 && next >= 0x80 && next < 0xA0) {  // U+0080 to U+009F
      out += '?';
      ++i;
    } else if ((byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7F) {
      out += '?';
    } else {
      out += text[i];
    }
  }
  return out;
}

void Tell(std::string_view text) {
  std::string lines = Printable(text);
  if (absl::EndsWith(lines, "\n")) lines.pop_back();
  // One write, so that lines of several processes do not mix.
  if (TerminalHasColours()) {
    lines = absl::StrCat(Begin(Colour::kNote), lines, kEndColour);
  }
  ShowPrompt(absl::StrCat(lines, "\n"));
}

}  // namespace gemma::tools
