#include "tools/gemma/terminal_text.h"

#include <cstdint>
#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tools/gemma/errors.h"
#include "tools/gemma/progress.h"

namespace gemma::tools {
namespace {

std::string_view Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

bool TerminalCanMove() {
  const std::string_view term = Environment("TERM");
  return StderrIsTerminal() && !term.empty() && term != "dumb";
}

bool TerminalHasColours() {
  return TerminalCanMove() && Environment("NO_COLOR").empty();
}

std::string_view Begin(Colour colour) {
  return colour == Colour::kPrompt ? "\x1b[1;34m" : "\x1b[2m";
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
