// How the command reports failures: a line with the cause, a line with the cure
// if one is known, and an exit code.

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

// The paragraph of --help on exit codes.
inline constexpr std::string_view kExitCodesHelp =
    R"(Exit codes: 0 done; 1 failed (a file, a model, a prompt that is too long,
a mismatch, output that nobody reads); 2 wrong use (an unknown command or
option, a value out of range); 3 refused by --guard; 130 interrupted by
Ctrl-C.
A failure prints one line on standard error that says what is wrong, and
often a second line that says what to do.
)";

// The command was called in a wrong way: exit code 2.
absl::Status UsageError(std::string_view message);
bool IsUsageError(const absl::Status& status);
// OK, or the same message and advice as a usage error.
absl::Status AsUsageError(const absl::Status& status);

// A guard refused a prompt or an answer: exit code 3.
absl::Status RefusedError(std::string_view message);
bool IsRefused(const absl::Status& status);

// A failure that needs no message: for example, the reader of our output has
// closed it. Exit code 1.
absl::Status SilentError();

// A signal stopped the command: see signals.h.
absl::Status InterruptedError();

// The same error with advice, which is printed as a second line.
absl::Status WithCure(absl::Status status, std::string_view cure);
// The advice, or "".
std::string CureOf(const absl::Status& status);

// Prints the error, with its cure if it has one, as Note does, also if
// IsQuiet().
void NoteError(const absl::Status& status);

// Prints the error, if there is one, and returns the exit code.
int Report(const absl::Status& status);

// Prints "gemma: <message>" on standard error, as one line: line ends and tabs
// become blanks, and Printable escapes the rest. A terminal that is narrower
// gets several lines, broken between words. Prints nothing if IsQuiet().
void Note(std::string_view message);

// Whether notes and progress are off, for the whole process (--quiet). Failures
// are still printed.
void SetQuiet(bool quiet);
bool IsQuiet();

// Prints `text` on standard error as it is.
void ShowPrompt(std::string_view text);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_ERRORS_H_
