// The types of tensors in GGUF files.

#ifndef GEMMA_SRC_FORMATS_GGUF_TYPES_H_
#define GEMMA_SRC_FORMATS_GGUF_TYPES_H_

#include <cstdint>
#include <optional>
#include <string>

#include "compression/format.h"

namespace gemma {

// What a type's number stands for: rows of a format, or panels of it.
struct GgufTensorType {
  Format format = Format::kF32;
  std::optional<Layout> packed;
};

// Of the first byte of a packed tensor in its file.
inline constexpr uint64_t kPackedAlignment = 64;

// The type of that number; nothing if it is none of ours.
std::optional<GgufTensorType> GgufTypeOf(uint32_t number);

// The number of rows of a format; nothing if GGUF has none for it.
std::optional<uint32_t> GgufTypeNumber(Format format);

// The number of matrices packed for a layout, which is that of the format or
// its TopLayoutOf. The numbers are ours, far from GGUF's own: a matrix of
// `rows` rows takes PackedBytes, and its first byte is at a multiple of
// kPackedAlignment in the file.
uint32_t GgufTypeNumber(Format format, Layout packed);

// "F32 (0), F16 (1), ...", those of rows.
std::string KnownGgufTypes();

}  // namespace gemma

#endif  // GEMMA_SRC_FORMATS_GGUF_TYPES_H_
