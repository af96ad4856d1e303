// Checks a model's file for changes since it was written.

#ifndef GEMMA_VERIFY_FILE_H_
#define GEMMA_VERIFY_FILE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/export.h"

namespace gemma {

// The result of VerifyFile for a file without errors.
struct FileCheck {
  bool has_checksums = false;  // false: only checked that weights are finite
  size_t tensors = 0;          // tensors checked
  uint64_t bytes = 0;          // bytes of their data
};

// How to read the file.
struct VerifyOptions {
  size_t num_threads = 0;  // 0: one per core that this process may use
  // Called repeatedly by the calling thread with the bytes done and the total.
  // Return false to cancel.
  std::function<bool(uint64_t done, uint64_t total)> progress;
};

// Reads all weights of a GGUF file, compares the checksums that Quantize wrote
// into it and looks for weights that are not finite.
//
// Errors: those of reading a GGUF file; DataLoss, naming the first tensor whose
// data have a wrong checksum, or saying that the part before the data has one;
// InvalidArgument, naming the first tensor with a weight that is not finite, or
// num_threads if it is above 1024; Cancelled.
GEMMA_EXPORT absl::StatusOr<FileCheck> VerifyFile(
    std::string_view path, const VerifyOptions& options = {});

}  // namespace gemma

#endif  // GEMMA_VERIFY_FILE_H_
