// The formats that weights have in files, and the layouts they are packed into.
//
// To add a format: a codec (see codec.h), one line in GEMMA_FORMATS, golden
// bytes in tests/testdata/codecs.

#ifndef GEMMA_COMPRESSION_FORMAT_H_
#define GEMMA_COMPRESSION_FORMAT_H_

#include <cstddef>
#include <string_view>

namespace gemma {

// The only list of file formats.
//  enum      codec   name      values/block bytes/block  packed layout
#define GEMMA_FORMATS(X)                             \
  X(kF32, F32, "F32", 1, 4, kF32)                    \
  X(kF16, F16, "F16", 1, 2, kF16)                    \
  X(kBF16, BF16, "BF16", 1, 2, kBF16)                \
  X(kQ8_0, Q8_0, "Q8_0", 32, 34, kI8Block32)         \
  X(kQ4_0, Q4_0, "Q4_0", 32, 18, kU4Block32Offset)   \
  X(kQ4_1, Q4_1, "Q4_1", 32, 20, kU4Block32Offset)   \
  X(kQ5_0, Q5_0, "Q5_0", 32, 22, kI8Block32)         \
  X(kQ5_1, Q5_1, "Q5_1", 32, 24, kI8Block32Offset)   \
  X(kQ2_K, Q2_K, "Q2_K", 256, 84, kU4Block16Offset)  \
  X(kQ3_K, Q3_K, "Q3_K", 256, 110, kI8Block16)       \
  X(kQ4_K, Q4_K, "Q4_K", 256, 144, kU4Block32Offset) \
  X(kQ5_K, Q5_K, "Q5_K", 256, 176, kI8Block32Offset) \
  X(kQ6_K, Q6_K, "Q6_K", 256, 210, kI8Block16)       \
  X(kIQ4_NL, IQ4_NL, "IQ4_NL", 32, 18, kI8Block32)   \
  X(kIQ4_XS, IQ4_XS, "IQ4_XS", 256, 136, kI8Block32)

enum class Format {
#define GEMMA_FORMAT_ENUM(name, ...) name,
  GEMMA_FORMATS(GEMMA_FORMAT_ENUM)
#undef GEMMA_FORMAT_ENUM
};

// Rows of a matrix are packed in panels of this many, side by side, so that a
// kernel multiplies one activation with a vector of rows and needs no
// horizontal sums.
inline constexpr size_t kPanelRows = 16;

// What a panel of kPanelRows rows looks like in memory. Rows beyond the matrix
// are zeros.
//
// kF32, kF16, kBF16: value (col, row) at index col * kPanelRows + row.
//
// The others: a sequence of blocks of 16 or 32 columns. A block is
//   float scale[kPanelRows]
//   float offset[kPanelRows]    only if the name says Offset
//   codes
// and value = scale * code + offset, exactly as the file format defines it.
//   I8: int8 code (col, row) at col * kPanelRows + row
//   U4: byte (col / 2) * kPanelRows + row holds code (col, row) in its low half
//       for even col, in its high half for odd col; codes are 0..15
enum class Layout {
  kF32,
  kF16,
  kBF16,
  kI8Block32,
  kI8Block32Offset,
  kI8Block16,
  kU4Block32Offset,
  kU4Block16Offset,
};

// Values in one block of the file format; rows hold whole blocks.
constexpr size_t BlockValues(Format format) {
  switch (format) {
#define GEMMA_FORMAT_CASE(name, codec, text, values, bytes, layout) \
  case Format::name:                                                \
    return values;
    GEMMA_FORMATS(GEMMA_FORMAT_CASE)
#undef GEMMA_FORMAT_CASE
  }
  return 0;
}

// Bytes of one block of the file format.
constexpr size_t BlockBytes(Format format) {
  switch (format) {
#define GEMMA_FORMAT_CASE(name, codec, text, values, bytes, layout) \
  case Format::name:                                                \
    return bytes;
    GEMMA_FORMATS(GEMMA_FORMAT_CASE)
#undef GEMMA_FORMAT_CASE
  }
  return 0;
}

// The layout that weights of this format run from.
constexpr Layout LayoutOf(Format format) {
  switch (format) {
#define GEMMA_FORMAT_CASE(name, codec, text, values, bytes, layout) \
  case Format::name:                                                \
    return Layout::layout;
    GEMMA_FORMATS(GEMMA_FORMAT_CASE)
#undef GEMMA_FORMAT_CASE
  }
  return Layout::kF32;
}

// The name that GGUF gives the type, for example "Q4_K".
constexpr std::string_view FormatName(Format format) {
  switch (format) {
#define GEMMA_FORMAT_CASE(name, codec, text, values, bytes, layout) \
  case Format::name:                                                \
    return text;
    GEMMA_FORMATS(GEMMA_FORMAT_CASE)
#undef GEMMA_FORMAT_CASE
  }
  return "";
}

// How a layout's blocks are built; see Layout.
struct LayoutTraits {
  size_t block_cols;  // columns sharing a scale; 1 for F32, F16 and BF16
  size_t code_bits;   // bits of one code or value
  bool has_scale;
  bool has_offset;
};

constexpr LayoutTraits TraitsOf(Layout layout) {
  switch (layout) {
    case Layout::kF32:
      return {1, 32, false, false};
    case Layout::kF16:
    case Layout::kBF16:
      return {1, 16, false, false};
    case Layout::kI8Block32:
      return {32, 8, true, false};
    case Layout::kI8Block32Offset:
      return {32, 8, true, true};
    case Layout::kI8Block16:
      return {16, 8, true, false};
    case Layout::kU4Block32Offset:
      return {32, 4, true, true};
    case Layout::kU4Block16Offset:
      return {16, 4, true, true};
  }
  return {1, 32, false, false};
}

// Bytes of one block of one panel: scales, offsets and codes.
constexpr size_t PanelBlockBytes(Layout layout) {
  const LayoutTraits t = TraitsOf(layout);
  return (t.has_scale ? kPanelRows * sizeof(float) : 0) +
         (t.has_offset ? kPanelRows * sizeof(float) : 0) +
         kPanelRows * t.block_cols * t.code_bits / 8;
}

// Bytes of one panel of `cols` columns; cols is a multiple of block_cols.
constexpr size_t PanelBytes(Layout layout, size_t cols) {
  return cols / TraitsOf(layout).block_cols * PanelBlockBytes(layout);
}

}  // namespace gemma

#endif  // GEMMA_COMPRESSION_FORMAT_H_
