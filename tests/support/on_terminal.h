// Runs code whose output goes to a terminal.

#ifndef GEMMA_TESTS_SUPPORT_ON_TERMINAL_H_
#define GEMMA_TESTS_SUPPORT_ON_TERMINAL_H_

#include <functional>
#include <string>

namespace gemma {

// What `act` writes to a stream, STDOUT_FILENO or STDERR_FILENO, that is a
// terminal with this TERM, which ends lines with \r\n. A dumb one has no
// colours. `columns`: its width; 0: not known.
std::string OnTerminal(int stream, const std::function<void()>& act,
                       const char* type = "dumb", unsigned short columns = 0);

}  // namespace gemma

#endif  // GEMMA_TESTS_SUPPORT_ON_TERMINAL_H_
