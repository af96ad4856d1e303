// Safetensors files.

#ifndef GEMMA_SRC_FORMATS_SAFETENSORS_H_
#define GEMMA_SRC_FORMATS_SAFETENSORS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/base/hash_table.h"
#include "src/formats/tensor.h"

namespace gemma::internal {

// The types of the format whose values are read: F32, BF16, F8_E4M3, ...
std::vector<std::string_view> ReadSafetensorsTypes();
// Those whose values are not: I8, BOOL, F4, ...
std::vector<std::string_view> UnreadSafetensorsTypes();

struct SafetensorsFile {
  TensorTable tensors;  // of types that are read
  // The others: name and type.
  HashMap<std::string, std::string_view> skipped;
};

// Parses a whole file. `bytes` must outlive the result. `path` is for messages.
// Enforces the rules of the reference implementation: the tensors cover the
// data exactly, without gaps or overlaps. A tensor may start at any address,
// even an odd one. An empty shape means one value.
absl::StatusOr<SafetensorsFile> ParseSafetensors(
    absl::Span<const uint8_t> bytes, std::string path);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORMATS_SAFETENSORS_H_
