// GGUF files, versions 2 and 3, little-endian.

#ifndef GEMMA_SRC_FORMATS_GGUF_H_
#define GEMMA_SRC_FORMATS_GGUF_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/formats/gguf_metadata.h"
#include "src/formats/tensor.h"

namespace gemma::internal {

// The first bytes of a GGUF file.
inline constexpr std::string_view kGgufMagic = "GGUF";

// The key for the alignment of tensors' offsets, and the default alignment.
inline constexpr std::string_view kGgufAlignmentKey = "general.alignment";
inline constexpr uint32_t kDefaultGgufAlignment = 32;

struct GgufFile {
  uint32_t version = 0;
  GgufMetadata metadata;
  TensorTable tensors;
};

// Whether the bytes begin like a GGUF file.
bool IsGguf(absl::Span<const uint8_t> bytes);

// Parses a whole file. `bytes` must outlive the result. `path` is for messages.
// A tensor may start at any address that the file's alignment allows, even an
// odd one.
absl::StatusOr<GgufFile> ParseGguf(absl::Span<const uint8_t> bytes,
                                   std::string path);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORMATS_GGUF_H_
