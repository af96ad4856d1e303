#include "tools/gemma/chat/line_editor.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <new>
#include <string_view>

#include "gtest/gtest.h"
#include "src/base/internal.h"
#include "tools/gemma/chat/input_history.h"

namespace gemma::tools {
namespace {

// Opens a terminal as standard input and standard error of this process.
// Returns the user's end of it.
int OpenTerminal() {
  const int user = posix_openpt(O_RDWR | O_NOCTTY);
  if (user < 0 || grantpt(user) != 0 || unlockpt(user) != 0) return -1;
  const int terminal = open(ptsname(user), O_RDWR | O_NOCTTY);
  if (terminal < 0) return -1;
  dup2(terminal, STDIN_FILENO);
  dup2(terminal, STDERR_FILENO);
  setenv("TERM", "xterm", 1);
  return user;
}

// Types a tab in an editor whose completion throws. Exits with 0 if Read fails
// and a second Read returns a line.
[[noreturn]] void CompleteAndThrow() {
  const int user = OpenTerminal();
  InputHistory history;
  auto editor = LineEditor::Create(
      &history, [](std::string_view) -> Completion { throw std::bad_alloc(); });
  if (user < 0 || !editor.ok()) std::_Exit(1);
  if (write(user, "a\t", 2) != 2) std::_Exit(2);
  if (!absl::IsResourceExhausted((*editor)->Read("> ").status())) {
    std::_Exit(3);
  }
  if (write(user, "b\r", 2) != 2) std::_Exit(4);
  const auto line = (*editor)->Read("> ");
  std::_Exit(line.ok() && line->end == LineEnd::kEnter ? 0 : 5);
}

TEST(LineEditor, OutlivesAnException) {
  // Runs in a child process, because it replaces standard input.
  EXPECT_EXIT(CompleteAndThrow(), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace gemma::tools
