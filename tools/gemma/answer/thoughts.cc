#include "tools/gemma/answer/thoughts.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/progress.h"
#include "tools/gemma/io/terminal_text.h"

namespace gemma::tools {

ThoughtsView::ThoughtsView(bool quiet)
    : on_output_(OutputIsTerminal()),
      dims_(on_output_ ? OutputHasColours() : TerminalHasColours()),
      escapes_(on_output_ || StderrIsTerminal()),
      hides_(quiet && !on_output_),
      lines_([] { return OutputCanMove() ? OutputColumns() : 0; },
             [this](std::string_view text) { shown_ += text; }) {}

void ThoughtsView::Write(std::string_view text) {
  if (escapes_) {
    lines_.Write(text);
  } else {
    shown_ += text;
  }
  const std::string shown = std::exchange(shown_, "");
  if (on_output_) {
    // Thoughts are not part of the output: a failure shows in the answer.
    WriteOutput(shown).IgnoreError();
  } else {
    ShowPrompt(shown);
  }
}

void ThoughtsView::Show(std::string_view text) {
  if (hides_ || text.empty()) return;
  if (!is_open_ && dims_) lines_.WriteStyle(Begin(Colour::kNote));
  is_open_ = true;
  Write(escapes_ ? pieces_.Next(text) : std::string(text));
}

void ThoughtsView::End() {
  if (!is_open_) return;
  is_open_ = false;
  if (!escapes_) {
    Write("\n...\n");
    return;
  }
  lines_.Write(absl::StrCat(pieces_.Rest(), "\n...\n"));
  if (dims_) lines_.WriteStyle(kEndColour);
  lines_.Flush();
  Write("");
}

}  // namespace gemma::tools
