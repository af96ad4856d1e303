// Reads and writes whole files.

#ifndef GEMMA_TOOLS_GEMMA_IO_FILES_H_
#define GEMMA_TOOLS_GEMMA_IO_FILES_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gemma::tools {

// Standard input in messages, and on the command line.
inline constexpr std::string_view kStdinName = "standard input";
inline constexpr std::string_view kStdinArgument = "-";

// Larger texts are refused, so that a wrong file does not fill the memory.
inline constexpr size_t kMaxTextBytes = size_t{256} << 20;

// Whether standard input is a pipe, a socket or a file. A terminal or /dev/null
// has no text to read.
bool StdinIsRedirected();

// Returns what messages call a file that ReadText reads: "standard input" for
// "-".
std::string_view InputName(std::string_view path);

// Waits until a read of `fd` would not block. Returns InterruptedError at an
// interrupt.
absl::Status WaitForInput(int fd);

// A note for NoteWaiting.
inline constexpr std::string_view kWaiting = "waiting for standard input";

// Waits for standard input, and after two seconds prints `note`: a program may
// have left a pipe open in which nothing will come. On a terminal or with
// IsQuiet(), returns at once.
void NoteWaiting(std::string_view note);

// Returns the bytes of a file, or of standard input if `path` is "-". Returns
// InterruptedError at an interrupt.
absl::StatusOr<std::string> ReadText(std::string_view path);

// As ReadText, but fails if the bytes are not UTF-8. For standard input, calls
// NoteWaiting(waiting), unless that is "".
absl::StatusOr<std::string> ReadUtf8(std::string_view path,
                                     std::string_view waiting = "");

// Returns the bytes of a regular file, also if its name is "-".
absl::StatusOr<std::string> ReadFile(const std::string& path);

// Writes all of `text` to standard output at once, or to the OutputFile that
// takes its place. Returns SilentError if the reader has closed it.
absl::Status WriteOutput(std::string_view text);

// Writes a text that is the whole result: see OutputFile::is_whole.
absl::Status WriteResult(std::string_view text);

// Writes a line about a result that went elsewhere, such as "m.gguf  1.2 MB",
// to standard output, unless notes are off (IsQuiet).
absl::Status WriteSummary(std::string_view line);

// Writes all of `bytes` to an open file. `name`: its name in messages.
absl::Status WriteTo(int fd, std::string_view bytes, std::string_view name);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_FILES_H_
