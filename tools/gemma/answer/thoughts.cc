#include "tools/gemma/answer/thoughts.h"

#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/progress.h"
#include "tools/gemma/io/terminal_text.h"

namespace gemma::tools {

ThoughtsView::ThoughtsView(bool quiet)
    : on_output_(isatty(STDOUT_FILENO) == 1),
      dims_(on_output_ ? OutputHasColours() : TerminalHasColours()),
      escapes_(on_output_ || StderrIsTerminal()),
      hides_(quiet && !on_output_) {}

void ThoughtsView::Write(std::string_view text) const {
  std::string shown = escapes_ ? PrintableLines(text) : std::string(text);
  if (dims_) shown = absl::StrCat(Begin(Colour::kNote), shown, kEndColour);
  if (on_output_) {
    // Thoughts are not part of the output: a failure shows in the answer.
    WriteOutput(shown).IgnoreError();
  } else {
    ShowPrompt(shown);
  }
}

void ThoughtsView::Show(std::string_view text) {
  if (hides_ || text.empty()) return;
  is_open_ = true;
  Write(text);
}

void ThoughtsView::End() {
  if (!is_open_) return;
  is_open_ = false;
  Write("\n...\n");
}

}  // namespace gemma::tools
