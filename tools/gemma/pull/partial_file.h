// A file that is being downloaded: FILE.partial, which survives interrupts, and
// a note beside it of what it is a part of.

#ifndef GEMMA_TOOLS_GEMMA_PULL_PARTIAL_FILE_H_
#define GEMMA_TOOLS_GEMMA_PULL_PARTIAL_FILE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gemma::tools {

// What tells two states of a remote file apart; "" where unknown.
struct FileVersion {
  std::string etag;    // strong: the same bytes as long as it is the same
  std::string digest;  // in hexadecimal digits
};

class PartialFile {
 public:
  // The suffix of such files' names.
  static constexpr std::string_view kSuffix = ".partial";

  // Opens or creates the partial file of `target`.
  static absl::StatusOr<PartialFile> Open(const std::string& target);

  ~PartialFile();
  PartialFile(PartialFile&& other) noexcept;
  PartialFile& operator=(PartialFile&&) = delete;

  const std::string& path() const { return path_; }
  uint64_t bytes() const { return bytes_; }

  // Of what the bytes so far are a part; empty if there are none.
  const FileVersion& version() const { return version_; }

  // Forgets all bytes: those to come are of `version`.
  absl::Status Restart(const FileVersion& version);

  absl::Status Append(std::string_view bytes);

  // Gives the file its name.
  absl::Status Commit();

  // Removes the file.
  void Discard();

 private:
  PartialFile(int fd, std::string target);

  std::string NotePath() const;
  void ReadNote();
  absl::Status WriteNote() const;

  int fd_;
  std::string target_;
  std::string path_;
  uint64_t bytes_ = 0;
  FileVersion version_;
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_PULL_PARTIAL_FILE_H_
