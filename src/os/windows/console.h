// Terminals of Windows, which hold UTF-16.

#ifndef GEMMA_SRC_OS_WINDOWS_CONSOLE_H_
#define GEMMA_SRC_OS_WINDOWS_CONSOLE_H_

#include <sys/types.h>

#include <cstddef>

namespace gemma::internal {

// Like read and write of POSIX, with UTF-8. Ctrl-D or Ctrl-Z at the beginning
// of a line ends the input. Ctrl-C ends the wait with EINTR.
ssize_t ReadFromConsole(void* console, void* buffer, size_t size);
ssize_t WriteToConsole(void* console, const void* bytes, size_t size);

// Whether the terminal has a key that ReadFromConsole would see. Takes events
// that are none.
bool ConsoleHasInput(void* console);

// Lets the terminals of standard output and error obey the escape sequences of
// ANSI.
void AllowEscapeSequences();

}  // namespace gemma::internal

#endif  // GEMMA_SRC_OS_WINDOWS_CONSOLE_H_
