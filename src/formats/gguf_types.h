// The tensor types of GGUF files.

#ifndef GEMMA_SRC_FORMATS_GGUF_TYPES_H_
#define GEMMA_SRC_FORMATS_GGUF_TYPES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "compression/format.h"
#include "src/formats/tensor.h"

namespace gemma::internal {

// A tensor type: a format, stored in rows or packed in panels.
struct GgufTensorType {
  Format format = Format::kF32;
  std::optional<Layout> packed;
};

// The alignment of a packed tensor's first byte in its file.
inline constexpr uint64_t kPackedAlignment = 64;

// Returns the type with this number, or nothing if it is unknown.
std::optional<GgufTensorType> GgufTypeOf(uint32_t number);

// Returns the number for rows of a format, or nothing if GGUF has no number.
std::optional<uint32_t> GgufTypeNumber(Format format);

// Returns the number for matrices packed in a layout, which must be the
// format's layout or its TopLayoutOf. These numbers are our own, far from
// GGUF's. A matrix of `rows` rows takes PackedBytes. Its first byte is at a
// multiple of kPackedAlignment in the file.
uint32_t GgufTypeNumber(Format format, Layout packed);

// Returns the bytes that a tensor of whole blocks takes in its file, in rows or
// packed, or nothing on overflow.
std::optional<uint64_t> GgufTensorBytes(const Tensor& tensor);

// A type of rows by its name.
struct NamedGgufType {
  uint32_t number;
  std::string_view name;
};

// Returns the types of rows that are read.
std::vector<NamedGgufType> ReadGgufTypes();

// Returns the types of ggml that are not read: those for activations, integers,
// types that ggml removed, and types for which there is no codec yet.
absl::Span<const NamedGgufType> UnreadGgufTypes();

// Lists the types of rows: "F32 (0), F16 (1), ...".
std::string KnownGgufTypes();

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORMATS_GGUF_TYPES_H_
