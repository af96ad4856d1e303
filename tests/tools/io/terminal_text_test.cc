// Notes and errors on terminals of several widths.

#include "tools/gemma/io/terminal_text.h"

#include <unistd.h>

#include <cstdlib>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "tests/support/on_terminal.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/progress.h"

namespace gemma::tools {
namespace {

TEST(Broken, ColumnsHang) {
  EXPECT_EQ(Broken("one two three", 0), "one two three");
  EXPECT_EQ(Broken("one two three\nfour\n\nfive", 9),
            "one two\nthree\nfour\n\nfive");
  EXPECT_EQ(Broken("  turn 1: one two", 12), "  turn 1:\n  one two");
  EXPECT_EQ(Broken("Be brief.  Be kind.", 12), "Be brief.\nBe kind.");
  EXPECT_EQ(Broken("  /undo  Remove the last message", 20),
            "  /undo  Remove the\n         last\n         message");
  // A second column that leaves no room hangs below the first.
  EXPECT_EQ(Broken("  /undo  Remove the last message", 16),
            "  /undo  Remove\n    the last\n    message");
  EXPECT_EQ(Broken("gemma: one two three", 16, 7),
            "gemma: one two\n       three");
}

TEST(Cut, WholeCharactersFit) {
  EXPECT_EQ(Cut("loading 50 %", 7), "loading");
  EXPECT_EQ(Cut("loading", 0), "loading");
  EXPECT_EQ(Cut("a\u72D0\u72D0", 4), "a\u72D0");
  EXPECT_EQ(Cut("e\u0301e\u0301e", 2), "e\u0301e\u0301");
}

TEST(Note, NarrowTerminalBreaksWords) {
  const auto print = [] {
    Tell("stopped; the part already shown stays");
    Note("the context is full: forgot the oldest turn");
    NoteError(WithCure(absl::NotFoundError("none: no such file"),
                       "gemma list shows the models"));
  };
  setenv("NO_COLOR", "1", 1);
  EXPECT_EQ(OnTerminal(STDERR_FILENO, print, "xterm", /*columns=*/24),
            "stopped; the part\r\nalready shown stays\r\n"
            "gemma: the context is\r\n       full: forgot the\r\n"
            "       oldest turn\r\n"
            "gemma: none: no such\r\n       file\r\n"
            "gemma: gemma list shows\r\n       the models\r\n");
  unsetenv("NO_COLOR");
  // A terminal of unknown width, and one that cannot move.
  for (const auto& [type, columns] :
       {std::pair("xterm", 0), std::pair("dumb", 24)}) {
    EXPECT_EQ(OnTerminal(
                  STDERR_FILENO, [] { Note("one two three four five"); }, type,
                  static_cast<unsigned short>(columns)),
              "gemma: one two three four five\r\n");
  }
}

TEST(Progress, LineStaysInRow) {
  const std::string shown = OnTerminal(
      STDERR_FILENO,
      [] {
        Progress progress("reading the prompt of many words", "tok");
        usleep(350'000);  // short tasks show nothing
        progress.Update(50, 100);
      },
      "xterm", /*columns=*/20);
  EXPECT_EQ(shown, "\r\x1b[Kreading the prompt \r\x1b[K");
}

}  // namespace
}  // namespace gemma::tools
