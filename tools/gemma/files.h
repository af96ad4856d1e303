// Whole files in, whole files out.

#ifndef GEMMA_TOOLS_GEMMA_FILES_H_
#define GEMMA_TOOLS_GEMMA_FILES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

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

// A file's bytes, mapped.
class MappedFile {
 public:
  static absl::StatusOr<MappedFile> Open(const std::string& path);

  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;

  absl::Span<const uint8_t> bytes() const { return bytes_; }

 private:
  explicit MappedFile(absl::Span<const uint8_t> bytes) : bytes_(bytes) {}

  absl::Span<const uint8_t> bytes_;
};

// A file that appears under its name when it is complete, and not before.
class OutputFile {
 public:
  // A path that exists and is no regular file (a pipe, /dev/null) is written
  // directly.
  static absl::StatusOr<OutputFile> Create(const std::string& path);

  // Removes what was written unless Commit succeeded.
  ~OutputFile();
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;

  absl::Status Write(std::string_view bytes);
  absl::Status Commit();

 private:
  OutputFile(int fd, std::string path, std::string temporary)
      : fd_(fd), path_(std::move(path)), temporary_(std::move(temporary)) {}

  int fd_;
  std::string path_;
  std::string temporary_;  // empty if `path_` is written directly
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_FILES_H_
