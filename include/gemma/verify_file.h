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

// Reads all weights of a GGUF file, compares the checksums that Quantize put
// into it and looks for weights that are not finite. `progress`, if not empty,
// is called now and then with bytes done and bytes in all; returning false
// cancels.
//
// Errors: those of reading a GGUF file; DataLoss, naming the first tensor whose
// data have another checksum, or saying that the part in front of the data has;
// InvalidArgument, naming the first tensor with a weight that is not finite;
// Cancelled.
GEMMA_EXPORT absl::StatusOr<FileCheck> VerifyFile(
    std::string_view path,
    const std::function<bool(uint64_t, uint64_t)>& progress = {});

}  // namespace gemma

#endif  // GEMMA_VERIFY_FILE_H_
