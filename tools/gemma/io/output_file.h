// A file in place of standard output.

#ifndef GEMMA_TOOLS_GEMMA_IO_OUTPUT_FILE_H_
#define GEMMA_TOOLS_GEMMA_IO_OUTPUT_FILE_H_

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/base/internal.h"
#include "src/os/atomic_file.h"

namespace gemma::tools {

// Returns OK, or an error if `path` is "-" or a folder, or, unless `force`, a
// file that exists. Pipes and devices are OK.
absl::Status CheckReplaces(const std::string& path, bool force);

// Writes "FILE  <what>, 1.2 MB" to standard output, or "FILE  1.2 MB" if `what`
// is "". Writes nothing if `quiet` or IsQuiet(), or for a pipe or a device.
absl::Status WriteFileSummary(const std::string& path, std::string_view what,
                              bool quiet = false);

// While an object exists, WriteOutput (files.h) writes to its file, which
// appears only when Commit succeeds. There is at most one object at a time.
class OutputFile {
 public:
  // Fails as CheckReplaces does, or if the file cannot be created.
  static absl::StatusOr<std::unique_ptr<OutputFile>> Open(
      const std::string& path, bool force);

  // The object that exists, or null: WriteOutput writes to standard output.
  static OutputFile* Current();

  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  absl::Status Write(std::string_view text);
  absl::Status Commit();

  // Whether WriteResult has written a whole result, which is kept even if the
  // command fails afterwards, as `gemma verify` does for a model that differs.
  bool is_whole() const { return is_whole_; }
  void set_whole() { is_whole_ = true; }

 private:
  OutputFile(AtomicFile file, bool force);

  AtomicFile file_;
  bool force_;
  bool is_whole_ = false;
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_OUTPUT_FILE_H_
