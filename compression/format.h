// The formats of weights in files, and the layout that each is packed into. The
// formats named N are our own, and only ever written packed.
//
// To add a format, write a codec (see codec.h), one line in GEMMA_FORMATS, and
// golden bytes in tests/testdata/codecs.

#ifndef GEMMA_COMPRESSION_FORMAT_H_
#define GEMMA_COMPRESSION_FORMAT_H_

#include <cstddef>
#include <string_view>

#include "compression/layout.h"

namespace gemma::internal {

// The GGUF number of a format that GGUF does not have.
inline constexpr int kNoNumber = -1;

// The only list of file formats.
//  enum  codec  name  values/block  bytes/block  packed layout  GGUF number
#define GEMMA_FORMATS(X)                                     \
  X(kF32, F32, "F32", 1, 4, kF32, 0)                         \
  X(kF16, F16, "F16", 1, 2, kF16, 1)                         \
  X(kBF16, BF16, "BF16", 1, 2, kBF16, 30)                    \
  X(kQ8_0, Q8_0, "Q8_0", 32, 34, kU8, 8)                     \
  X(kQ4_0, Q4_0, "Q4_0", 32, 18, kU4, 2)                     \
  X(kQ4_1, Q4_1, "Q4_1", 32, 20, kU4Offset, 3)               \
  X(kQ5_0, Q5_0, "Q5_0", 32, 22, kU5, 6)                     \
  X(kQ5_1, Q5_1, "Q5_1", 32, 24, kU5Offset, 7)               \
  X(kQ2_K, Q2_K, "Q2_K", 256, 84, kU4SuperOffset16, 10)      \
  X(kQ3_K, Q3_K, "Q3_K", 256, 110, kU4Super16, 11)           \
  X(kQ4_K, Q4_K, "Q4_K", 256, 144, kU4SuperOffset, 12)       \
  X(kQ5_K, Q5_K, "Q5_K", 256, 176, kU5SuperOffset, 13)       \
  X(kQ6_K, Q6_K, "Q6_K", 256, 210, kU6Super16, 14)           \
  X(kIQ4_NL, IQ4_NL, "IQ4_NL", 32, 18, kU4Table, 20)         \
  X(kIQ4_XS, IQ4_XS, "IQ4_XS", 256, 136, kU4SuperTable, 23)  \
  X(kN4_32, N4_32, "N4_32", 32, 17, kN4Row, kNoNumber)       \
  X(kN4_16, N4_16, "N4_16", 32, 18, kN4Row16, kNoNumber)     \
  X(kN5_16, N5_16, "N5_16", 32, 22, kU5Row16, kNoNumber)     \
  X(kN6_16, N6_16, "N6_16", 32, 26, kU6Row16, kNoNumber)     \
  X(kSFP, SFP, "SFP", 1, 1, kBF16, kNoNumber)                \
  X(kNUQ, NUQ, "NUQ", 256, 144, kBF16, kNoNumber)            \
  X(kIQ2_XXS, IQ2_XXS, "IQ2_XXS", 256, 66, kIQ2Super, 16)    \
  X(kIQ2_XS, IQ2_XS, "IQ2_XS", 256, 74, kIQ2Super16, 17)     \
  X(kIQ2_S, IQ2_S, "IQ2_S", 256, 82, kIQ2Super16, 22)        \
  X(kIQ3_XXS, IQ3_XXS, "IQ3_XXS", 256, 98, kIQ3XXSSuper, 18) \
  X(kIQ3_S, IQ3_S, "IQ3_S", 256, 110, kIQ3SSuper, 21)        \
  X(kMXFP4, MXFP4, "MXFP4", 32, 17, kE2M1Scaled, 39)         \
  X(kNVFP4, NVFP4, "NVFP4", 64, 36, kE2M1Scaled16, 40)       \
  X(kF8_E4M3, F8_E4M3, "F8_E4M3", 1, 1, kBF16, kNoNumber)    \
  X(kF8_E5M2, F8_E5M2, "F8_E5M2", 1, 1, kBF16, kNoNumber)    \
  X(kF64, F64, "F64", 1, 8, kF32, 28)

enum class Format {
#define GEMMA_FORMAT_ENUM(name, ...) name,
  GEMMA_FORMATS(GEMMA_FORMAT_ENUM)
#undef GEMMA_FORMAT_ENUM
};

// Returns the values in one block of the file format. Rows hold whole blocks.
constexpr size_t BlockValues(Format format) {
  switch (format) {
#define GEMMA_FORMAT_CASE(name, codec, text, values, bytes, layout, number) \
  case Format::name:                                                        \
    return values;
    GEMMA_FORMATS(GEMMA_FORMAT_CASE)
#undef GEMMA_FORMAT_CASE
  }
  return 0;
}

// Returns the bytes of one block of the file format.
constexpr size_t BlockBytes(Format format) {
  switch (format) {
#define GEMMA_FORMAT_CASE(name, codec, text, values, bytes, layout, number) \
  case Format::name:                                                        \
    return bytes;
    GEMMA_FORMATS(GEMMA_FORMAT_CASE)
#undef GEMMA_FORMAT_CASE
  }
  return 0;
}

constexpr Layout LayoutOf(Format format);

// Returns the bytes after the blocks of a row. If the format has row units,
// they hold the row's unit, a bfloat16 that multiplies all its scales.
constexpr size_t RowUnitBytes(Format format) {
  return TraitsOf(LayoutOf(format)).has_row_units ? sizeof(uint16_t) : 0;
}

// Returns the layout that weights of this format are packed into.
constexpr Layout LayoutOf(Format format) {
  switch (format) {
#define GEMMA_FORMAT_CASE(name, codec, text, values, bytes, layout, number) \
  case Format::name:                                                        \
    return Layout::layout;
    GEMMA_FORMATS(GEMMA_FORMAT_CASE)
#undef GEMMA_FORMAT_CASE
  }
  return Layout::kF32;
}

// Returns the layout for a matrix whose largest products are mostly wanted: the
// one that TopProducts reads if the format allows it, else LayoutOf(format).
constexpr Layout TopLayoutOf(Format format) {
  return format == Format::kQ8_0 ? Layout::kU8Split : LayoutOf(format);
}

// Returns the name that GGUF, safetensors or gemma.cpp give the type, for
// example "Q4_K".
constexpr std::string_view FormatName(Format format) {
  switch (format) {
#define GEMMA_FORMAT_CASE(name, codec, text, values, bytes, layout, number) \
  case Format::name:                                                        \
    return text;
    GEMMA_FORMATS(GEMMA_FORMAT_CASE)
#undef GEMMA_FORMAT_CASE
  }
  return "";
}

}  // namespace gemma::internal

#endif  // GEMMA_COMPRESSION_FORMAT_H_
