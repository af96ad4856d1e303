// A file that is being downloaded: FILE.partial, which stays after an
// interrupt, and the note FILE.note.partial, which says which version of the
// remote file the bytes belong to.

#ifndef GEMMA_TOOLS_GEMMA_PULL_PARTIAL_FILE_H_
#define GEMMA_TOOLS_GEMMA_PULL_PARTIAL_FILE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gemma::tools {

// Identifies a version of a remote file. Unknown fields are "".
struct FileVersion {
  std::string etag;    // a strong ETag: the same ETag means the same bytes
  std::string digest;  // in hexadecimal digits
};

class PartialFile {
 public:
  // The suffix of partial files and their notes.
  static constexpr std::string_view kSuffix = ".partial";

  // Opens or creates the partial file of `target`.
  static absl::StatusOr<PartialFile> Open(const std::string& target);

  ~PartialFile();
  PartialFile(PartialFile&& other) noexcept;
  PartialFile& operator=(PartialFile&&) = delete;

  const std::string& path() const { return path_; }
  uint64_t bytes() const { return bytes_; }

  // The version that the bytes so far belong to; empty if there are no bytes.
  const FileVersion& version() const { return version_; }

  // Drops all bytes. The following ones belong to `version`.
  absl::Status Restart(const FileVersion& version);

  absl::Status Append(std::string_view bytes);

  // Renames the partial file to `target` and removes the note.
  absl::Status Commit();

  // Removes the partial file and the note.
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
