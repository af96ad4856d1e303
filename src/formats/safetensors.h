// Safetensors files.

#ifndef GEMMA_SRC_FORMATS_SAFETENSORS_H_
#define GEMMA_SRC_FORMATS_SAFETENSORS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/base/hash_table.h"
#include "src/formats/tensor.h"

namespace gemma::internal {

struct SafetensorsFile {
  TensorTable tensors;  // F32, F16 and BF16
  // Names of those of another type that the format knows (I64, BOOL, ...).
  HashSet<std::string> skipped;
};

// Parses a whole file. `bytes` must outlive the result. `path` is for messages.
// Enforces the rules of the reference implementation: the tensors cover the
// data exactly, without gaps or overlaps. A tensor may start at any address,
// even an odd one. An empty shape means one value.
absl::StatusOr<SafetensorsFile> ParseSafetensors(
    absl::Span<const uint8_t> bytes, std::string path);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORMATS_SAFETENSORS_H_
