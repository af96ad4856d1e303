// Whole files in, whole files out.

#ifndef GEMMA_TOOLS_GEMMA_IO_FILES_H_
#define GEMMA_TOOLS_GEMMA_IO_FILES_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gemma::tools {

// Standard input's name in messages, and what names it on the command line.
inline constexpr std::string_view kStdinName = "standard input";
inline constexpr std::string_view kStdinArgument = "-";

// Larger texts are refused, so that a wrong file does not fill the memory.
inline constexpr size_t kMaxTextBytes = size_t{256} << 20;

// Waits until `fd` can be read without waiting. An interrupt ends it with
// InterruptedError.
absl::Status WaitForInput(int fd);

// The bytes of a file, or of standard input if `path` is "-". An interrupt
// ends the wait for input.
absl::StatusOr<std::string> ReadText(std::string_view path);

// The bytes of a regular file, whatever its name.
absl::StatusOr<std::string> ReadFile(const std::string& path);

// Writes all of `text` to standard output at once. A reader that left is a
// SilentError.
absl::Status WriteOutput(std::string_view text);

// Writes all of `bytes` to an open file, whose name is for messages.
absl::Status WriteTo(int fd, std::string_view bytes, std::string_view name);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_FILES_H_
