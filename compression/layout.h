// The layouts of packed weights.

#ifndef GEMMA_COMPRESSION_LAYOUT_H_
#define GEMMA_COMPRESSION_LAYOUT_H_

#include <cstddef>
#include <cstdint>

namespace gemma::internal {

// The levels of four-bit codes that lie denser around zero, where most weights
// are: those of GGUF's IQ4 formats, and ours. Ours fit six bits, so that CPUs
// without a four-byte dot product can sum products in 16 bits. They were chosen
// to lose least on groups of 16 to 32 values, half of them Gaussian, half
// Student-t (5 degrees), whose scales may be negative.
inline constexpr int8_t kIQ4Levels[16] = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
inline constexpr int8_t kN4Levels[16] = {-32, -27, -21, -16, -12, -9, -6, -3,
                                         0,   3,   6,   9,   13,  17, 22, 28};

// The levels of GGUF's IQ2 and IQ3 formats: the magnitudes in their grids, with
// both signs. IQ2 formats have six levels.
inline constexpr int8_t kIQ2Levels[16] = {-43, -25, -8, 8, 25, 43};
inline constexpr int8_t kIQ3XXSLevels[16] = {
    -62, -52, -44, -36, -28, -20, -12, -4, 4, 12, 20, 28, 36, 44, 52, 62};
inline constexpr int8_t kIQ3SLevels[16] = {-15, -13, -11, -9, -7, -5, -3, -1,
                                           1,   3,   5,   7,  9,  11, 13, 15};

// Twice the values of E2M1, the four-bit float of the OCP's Microscaling
// Formats specification (version 1.0, table 5). Zero has two codes.
inline constexpr int8_t kE2M1Levels[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                           0, -1, -2, -3, -4, -6, -8, -12};

// The rows of a panel. A matrix is packed in panels of this many interleaved
// rows, so that a kernel multiplies one activation with a vector of rows and
// needs no horizontal sums.
inline constexpr size_t kPanelRows = 16;

// The memory of a panel of kPanelRows rows: a sequence of blocks of columns.
// Rows beyond the matrix are zeros.
//
// kF32, kF16: a block is one column, its values row after row.
// kBF16: a block is two columns; each row has its values of both. If the matrix
// has an odd number of columns, the last column of the panel is zeros.
//
// The other layouts hold the codes of 4 to 8 bits and the scales of the file
// format, rearranged in blocks of 32 columns or, if named Super, of 256. A
// value is
//   scale * (code - zero) + offset, or scale * kIQ4Levels[code] if named Table,
//   or scale * kN4Levels[code] if named N4, and so on for IQ2, IQ3XXS, IQ3S and
//   E2M1.
// A block is a header and the codes of each 32 columns. The header holds, for
// each of the kPanelRows rows in turn:
//   half scale, then half offset if named Offset
// or, if named Super,
//   half unit, then half offset_unit if named Offset,
//   for each group of columns: int8 s, then int8 m if named Offset
//   with scale = factor * unit * s and offset = -(offset_unit * m), where the
//   factor is a constant of the layout, mostly 1
// or, if named Row,
//   for each group of columns: int8 s
//   with scale = unit * s, where the unit belongs to the row: after the panel's
//   blocks lie its units, a bfloat16 for each row
// or, if named Scaled,
//   for each group of columns: bfloat16 scale
// Groups have 16 columns if named 16, else 32.
//
// The codes of 32 columns are eight vectors of 64 bytes. Vector g has code (col
// 4 * g + c, row) in byte 4 * row + c, as instructions that sum four products
// of bytes want it. The vectors are stored in planes:
//   8 bits: the eight vectors
//   4 bits: four vectors; g in the low halves and 4 + g in the high halves
//   5 bits: as 4 bits, then one vector whose bit g is the fifth bit of vector g
//   6 bits: as 4 bits, then two vectors; bits 2 * (g % 4) and above of vector
//           g / 4 are the upper two bits of vector g
//
// kU8Split: as kU8, but its blocks hold only the upper six bits of codes, as 6
// bits above, and the lower two bits follow the panel's blocks, so that
// TopProducts can read the upper bits alone. The lower bits of a block are two
// vectors; bits 2 * (g % 4) and above of vector g / 4 belong to vector g.
#define GEMMA_LAYOUTS(X) \
  X(kF32)                \
  X(kF16)                \
  X(kBF16)               \
  X(kU8)                 \
  X(kU8Split)            \
  X(kU4)                 \
  X(kU4Offset)           \
  X(kU4Table)            \
  X(kU5)                 \
  X(kU5Offset)           \
  X(kU4SuperOffset)      \
  X(kU4SuperOffset16)    \
  X(kU4Super16)          \
  X(kU4SuperTable)       \
  X(kU5SuperOffset)      \
  X(kU6Super16)          \
  X(kN4Row)              \
  X(kN4Row16)            \
  X(kU5Row16)            \
  X(kU6Row16)            \
  X(kIQ2Super)           \
  X(kIQ2Super16)         \
  X(kIQ3XXSSuper)        \
  X(kIQ3SSuper)          \
  X(kE2M1Scaled)         \
  X(kE2M1Scaled16)

enum class Layout {
#define GEMMA_LAYOUT_ENUM(layout) layout,
  GEMMA_LAYOUTS(GEMMA_LAYOUT_ENUM)
#undef GEMMA_LAYOUT_ENUM
};

// How a layout's blocks are built; see Layout.
struct LayoutTraits {
  size_t code_bits;   // of one code; 0: values, no codes
  size_t block_cols;  // columns of a block
  size_t scale_cols;  // columns that share a scale
  int zero;           // added to a level to make it unsigned
  bool has_offset = false;
  bool has_row_units = false;
  const int8_t* levels = nullptr;  // the level of each code; null: code - zero
  size_t level_bits = code_bits;   // of a level plus zero
  float factor = 1.0f;             // of the scales, if IsSuper
  bool has_bf16_scales = false;    // of groups; else halves, or row units

  constexpr bool IsSuper() const { return block_cols == 256; }
};

// Returns the traits of a layout with a table of levels, which are at least
// -zero and less than `zero`, a power of two.
constexpr LayoutTraits TableTraits(const int8_t* levels, int zero,
                                   size_t block_cols, size_t scale_cols) {
  LayoutTraits traits = {4, block_cols, scale_cols, zero};
  traits.levels = levels;
  traits.level_bits = 0;
  for (int level = 2 * zero - 1; level != 0; level /= 2) ++traits.level_bits;
  return traits;
}

constexpr LayoutTraits TraitsOf(Layout layout) {
  LayoutTraits n4 = TableTraits(kN4Levels, 32, 32, 32);
  n4.has_row_units = true;
  LayoutTraits iq2 = TableTraits(kIQ2Levels, 64, 256, 32);
  iq2.factor = 0.125f;
  LayoutTraits iq3_xxs = TableTraits(kIQ3XXSLevels, 64, 256, 32);
  iq3_xxs.factor = 0.25f;
  LayoutTraits e2m1 = TableTraits(kE2M1Levels, 16, 32, 32);
  e2m1.has_bf16_scales = true;
  switch (layout) {
    case Layout::kF32:
    case Layout::kF16:
      return {0, 1, 1, 0};
    case Layout::kBF16:
      return {0, 2, 1, 0};
    case Layout::kU8:
    case Layout::kU8Split:
      return {8, 32, 32, 128};
    case Layout::kU4:
      return {4, 32, 32, 8};
    case Layout::kU4Offset:
      return {4, 32, 32, 0, true};
    case Layout::kU4Table:
      return TableTraits(kIQ4Levels, 128, 32, 32);
    case Layout::kU5:
      return {5, 32, 32, 16};
    case Layout::kU5Offset:
      return {5, 32, 32, 0, true};
    case Layout::kU4SuperOffset:
      return {4, 256, 32, 0, true};
    case Layout::kU4SuperOffset16:
      return {4, 256, 16, 0, true};
    case Layout::kU4Super16:
      return {4, 256, 16, 4};
    case Layout::kU4SuperTable:
      return TableTraits(kIQ4Levels, 128, 256, 32);
    case Layout::kU5SuperOffset:
      return {5, 256, 32, 0, true};
    case Layout::kU6Super16:
      return {6, 256, 16, 32};
    case Layout::kN4Row:
      return n4;
    case Layout::kN4Row16:
      n4.scale_cols = 16;
      return n4;
    case Layout::kU5Row16:
      return {5, 32, 16, 16, false, true};
    case Layout::kU6Row16:
      return {6, 32, 16, 32, false, true};
    case Layout::kIQ2Super:
      return iq2;
    case Layout::kIQ2Super16:
      iq2.scale_cols = 16;
      return iq2;
    case Layout::kIQ3XXSSuper:
      return iq3_xxs;
    case Layout::kIQ3SSuper:
      return TableTraits(kIQ3SLevels, 16, 256, 32);
    case Layout::kE2M1Scaled:
      return e2m1;
    case Layout::kE2M1Scaled16:
      e2m1.scale_cols = 16;
      return e2m1;
  }
  return {0, 1, 1, 0};
}

// The columns whose codes lie together, and the bytes of one of their vectors.
inline constexpr size_t kTileCols = 32;
inline constexpr size_t kCodeVectorBytes = 4 * kPanelRows;
inline constexpr size_t kCodeVectors = kTileCols / 4;

// The bits of a code that lie in its block, and the bytes of a block's other
// bits.
constexpr size_t PlaneBits(Layout layout) {
  return layout == Layout::kU8Split ? 6 : TraitsOf(layout).code_bits;
}
constexpr size_t RestBytes(Layout layout) {
  return layout == Layout::kU8Split ? 2 * kCodeVectorBytes : 0;
}

// Returns the bytes, in the block, of the codes of kTileCols columns of a
// panel.
constexpr size_t TileBytes(Layout layout) {
  return PlaneBits(layout) * kTileCols * kPanelRows / 8;
}

// Returns the bytes of a block's scales and offsets.
constexpr size_t HeaderBytes(Layout layout) {
  const LayoutTraits t = TraitsOf(layout);
  if (t.code_bits == 0) return 0;
  const size_t groups = t.block_cols / t.scale_cols;
  if (t.has_row_units) return kPanelRows * groups;
  if (t.has_bf16_scales) return kPanelRows * groups * sizeof(uint16_t);
  const size_t parts = t.has_offset ? 2 : 1;
  return kPanelRows * parts * (2 + (t.IsSuper() ? groups : 0));
}

// Returns the bytes of one block of one panel, without RestBytes.
constexpr size_t PanelBlockBytes(Layout layout) {
  const LayoutTraits t = TraitsOf(layout);
  if (t.code_bits == 0)
    return kPanelRows * 4 / (layout == Layout::kF16 ? 2 : 1);
  return HeaderBytes(layout) + t.block_cols / kTileCols * TileBytes(layout);
}

// Returns the bytes of a panel's row units.
constexpr size_t UnitBytes(Layout layout) {
  return TraitsOf(layout).has_row_units ? kPanelRows * sizeof(uint16_t) : 0;
}

// Returns the bytes of one panel of `cols` columns, which are whole blocks for
// layouts with codes.
constexpr size_t PanelBytes(Layout layout, size_t cols) {
  const size_t block_cols = TraitsOf(layout).block_cols;
  return (cols + block_cols - 1) / block_cols *
             (PanelBlockBytes(layout) + RestBytes(layout)) +
         UnitBytes(layout);
}

}  // namespace gemma::internal

#endif  // GEMMA_COMPRESSION_LAYOUT_H_
