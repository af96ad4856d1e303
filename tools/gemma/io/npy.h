// Writes NumPy's array files.

#ifndef GEMMA_TOOLS_GEMMA_IO_NPY_H_
#define GEMMA_TOOLS_GEMMA_IO_NPY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/base/internal.h"
#include "src/os/atomic_file.h"
#include "tools/gemma/io/files.h"

namespace gemma::tools {

// Writes a float32 matrix row by row. The file appears when it is complete.
class NpyWriter {
 public:
  static absl::StatusOr<NpyWriter> Create(const std::string& path, size_t rows,
                                          size_t cols);

  // `values`: whole rows, [n, cols].
  absl::Status Append(absl::Span<const float> values);

  // Completes the file. Fails if rows are missing.
  absl::Status Finish();

 private:
  NpyWriter(AtomicFile file, uint64_t values_left)
      : file_(std::move(file)), values_left_(values_left) {}

  AtomicFile file_;
  uint64_t values_left_;
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_NPY_H_
