// How the command tells of failures: a line of cause, where it can a line of
// cure, and an exit code.

#ifndef GEMMA_TOOLS_GEMMA_IO_ERRORS_H_
#define GEMMA_TOOLS_GEMMA_IO_ERRORS_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/base/internal.h"

namespace gemma::tools {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitRefused = 3;
// Plus the number of the signal that interrupted the command.
inline constexpr int kExitSignal = 128;

// What --help says about the above.
inline constexpr std::string_view kExitCodesHelp =
    R"(Exit codes: 0 done, 1 failed (a file, a model, a prompt too long, a
mismatch, output that nobody reads), 2 wrong use (an unknown command or
option, a value out of range), 3 refused by --guard, 130 interrupted by
Ctrl-C.
Failures are told on standard error, in a line that says what is wrong
and, often, a second that says what to do.
)";

// The command was called in a wrong way: exit code 2.
absl::Status UsageError(std::string_view message);
bool IsUsageError(const absl::Status& status);
// OK, or the same message as a usage error.
absl::Status AsUsageError(const absl::Status& status);

// A guard refused a prompt or an answer: exit code 3.
absl::Status RefusedError(std::string_view message);
bool IsRefused(const absl::Status& status);

// A failure of which there is nothing to say, such as a reader of our output
// that left.
absl::Status SilentError();

// A signal stopped the command: see signals.h.
absl::Status InterruptedError();

// The same error with advice, which is printed as a second line.
absl::Status WithCure(absl::Status status, std::string_view cure);
// The advice, or "".
std::string CureOf(const absl::Status& status);

// Prints the error, with its cure if it has one, as Note does.
void NoteError(const absl::Status& status);

// Prints the error, if there is one, and returns the exit code.
int Report(const absl::Status& status);

// Prints "gemma: <message>" on standard error, one line: line ends and tabs
// become blanks, all else that Printable escapes an escape.
void Note(std::string_view message);

// Prints `text` on standard error as it is.
void ShowPrompt(std::string_view text);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_ERRORS_H_
