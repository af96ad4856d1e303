#include "tests/support/on_terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "gtest/gtest.h"

namespace gemma {

std::string OnTerminal(int stream, const std::function<void()>& act,
                       const char* type, unsigned short columns) {
  const int reader = posix_openpt(O_RDWR | O_NOCTTY);
  EXPECT_GE(reader, 0);
  EXPECT_EQ(grantpt(reader), 0);
  EXPECT_EQ(unlockpt(reader), 0);
  const int terminal = open(ptsname(reader), O_RDWR | O_NOCTTY);
  EXPECT_GE(terminal, 0);
  const winsize size = {.ws_row = 24, .ws_col = columns};
  EXPECT_EQ(ioctl(terminal, TIOCSWINSZ, &size), 0);
  const char* const old_term = getenv("TERM");
  const std::string term = old_term == nullptr ? "" : old_term;
  setenv("TERM", type, 1);
  std::fflush(nullptr);
  const int saved = dup(stream);
  dup2(terminal, stream);
  act();
  std::fflush(nullptr);
  dup2(saved, stream);
  close(saved);
  if (old_term == nullptr) {
    unsetenv("TERM");
  } else {
    setenv("TERM", term.c_str(), 1);
  }
  close(terminal);
  std::string shown;
  for (char c = 0; read(reader, &c, 1) == 1;) shown += c;
  close(reader);
  return shown;
}

}  // namespace gemma
