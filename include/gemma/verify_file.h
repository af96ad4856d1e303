// Whether a model's file is as it was written.

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

// What VerifyFile found in a file that is as it should be.
struct FileCheck {
  bool has_checksums = false;  // else only that all weights are finite
  size_t tensors = 0;          // that were checked
  uint64_t bytes = 0;          // of their data
};

// How to read it.
struct VerifyOptions {
  size_t num_threads = 0;  // 0: one per core that this process may use
  // Called now and then from the calling thread with bytes done and bytes in
  // all; returning false cancels.
  std::function<bool(uint64_t done, uint64_t total)> progress;
};

// Reads all weights of a GGUF file, compares the checksums that Quantize put
// into it and looks for weights that are not finite.
//
// Errors: those of reading a GGUF file; DataLoss, naming the first tensor whose
// data have another checksum, or saying that the part in front of the data has;
// InvalidArgument, naming the first tensor with a weight that is not finite, or
// num_threads if it is above 1024; Cancelled.
GEMMA_EXPORT absl::StatusOr<FileCheck> VerifyFile(
    std::string_view path, const VerifyOptions& options = {});

}  // namespace gemma

#endif  // GEMMA_VERIFY_FILE_H_
