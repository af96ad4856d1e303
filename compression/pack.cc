#include "compression/pack.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "compression/codecs.h"

namespace gemma {
namespace {

// Transposes 16 rows of 16 values, `stride` values apart, into out[0..255]. At
// -O3, compilers make of these constant bounds a few interleaving instructions
// per vector.
template <class T>
void Transpose(const T* __restrict rows, size_t stride, T* __restrict out) {
  for (size_t col = 0; col < 16; ++col) {
    for (size_t row = 0; row < 16; ++row) {
      out[col * 16 + row] = rows[row * stride + col];
    }
  }
}

// Packs one panel of values that need no decoding, only moving. `num_rows` is
// 1..16; so many rows follow each other from `rows` on.
template <class T>
void PackValues(const uint8_t* rows, size_t num_rows, size_t cols,
                uint8_t* out) {
  constexpr size_t kTileCols = 16;
  alignas(64) T tile[kPanelRows * kTileCols] = {};
  alignas(64) T transposed[kPanelRows * kTileCols];
  for (size_t col = 0; col < cols; col += kTileCols) {
    // The last tile keeps what the tile before it left beyond the row; it is
    // not copied out.
    const size_t size = std::min(kTileCols, cols - col);
    for (size_t row = 0; row < num_rows; ++row) {
      const uint8_t* from = rows + (row * cols + col) * sizeof(T);
      if (size == kTileCols) {  // a constant size becomes plain moves
        std::memcpy(tile + row * kTileCols, from, kTileCols * sizeof(T));
      } else {
        std::memcpy(tile + row * kTileCols, from, size * sizeof(T));
      }
    }
    Transpose(tile, kTileCols, transposed);
    std::memcpy(out, transposed, size * kPanelRows * sizeof(T));
    out += size * kPanelRows * sizeof(T);
  }
}

// Columns unpacked at a time: those of the largest block.
constexpr size_t kChunkCols = 256;

// Up to kChunkCols columns of one panel, unpacked.
template <class Codec, Layout layout>
struct Chunk {
  static constexpr LayoutTraits kTraits = TraitsOf(layout);
  static constexpr size_t kScales = kChunkCols / Codec::kScaleValues;

  // Rows that are never unpacked stay zero.
  alignas(64) int8_t codes[kPanelRows * kChunkCols] = {};
  float scales[kPanelRows][kScales] = {};
  float offsets[kPanelRows][kScales] = {};

  // Unpacks `cols` columns, a multiple of kBlockValues, of one row.
  void UnpackRow(const uint8_t* block, size_t row, size_t cols) {
    int8_t* row_codes = codes + row * kChunkCols;
    for (size_t col = 0; col < cols; col += Codec::kBlockValues) {
      const size_t s = col / Codec::kScaleValues;
      Codec::Unpack(block, row_codes + col, scales[row] + s, offsets[row] + s);
      block += Codec::kBlockBytes;
    }
    if constexpr (kTraits.code_bits == 4) MakeUnsigned(row, cols);
  }

  // Moves the codes of a row to 0..15. The value stays: both products and the
  // sum are exact. (Only -0 becomes +0.)
  void MakeUnsigned(size_t row, size_t cols) {
    constexpr int kMin = Codec::kMinCode;
    int8_t* row_codes = codes + row * kChunkCols;
    if constexpr (kMin != 0) {
      for (size_t i = 0; i < cols; ++i) {
        row_codes[i] = static_cast<int8_t>(row_codes[i] - kMin);
      }
      for (size_t s = 0; s < cols / Codec::kScaleValues; ++s) {
        offsets[row][s] += static_cast<float>(kMin) * scales[row][s];
      }
    }
  }

  // Writes the block of the layout that scale `s` belongs to.
  void WriteBlock(size_t s, uint8_t* out) const {
    WriteFloats(scales, s, out);
    out += kPanelRows * sizeof(float);
    if constexpr (kTraits.has_offset) {
      WriteFloats(offsets, s, out);
      out += kPanelRows * sizeof(float);
    }
    for (size_t i = 0; i < Codec::kScaleValues; i += kPanelRows) {
      alignas(64) int8_t transposed[kPanelRows * kPanelRows];
      Transpose(codes + s * Codec::kScaleValues + i, kChunkCols, transposed);
      if constexpr (kTraits.code_bits == 4) {
        out = WriteNibbles(transposed, out);
      } else {
        std::memcpy(out, transposed, sizeof(transposed));
        out += sizeof(transposed);
      }
    }
  }

 private:
  static void WriteFloats(const float (&from)[kPanelRows][kScales], size_t s,
                          uint8_t* out) {
    float column[kPanelRows];
    for (size_t row = 0; row < kPanelRows; ++row) column[row] = from[row][s];
    std::memcpy(out, column, sizeof(column));
  }

  // Joins each two of 16 columns; returns where the next byte goes.
  static uint8_t* WriteNibbles(const int8_t* __restrict columns,
                               uint8_t* __restrict out) {
    for (size_t pair = 0; pair < kPanelRows / 2; ++pair) {
      const int8_t* even = columns + 2 * pair * kPanelRows;
      const int8_t* odd = even + kPanelRows;
      for (size_t row = 0; row < kPanelRows; ++row) {
        out[row] = static_cast<uint8_t>(even[row] | (odd[row] << 4));
      }
      out += kPanelRows;
    }
    return out;
  }
};

// As PackValues, for formats with blocks.
template <class Codec, Layout layout>
void PackBlocks(const uint8_t* rows, size_t num_rows, size_t cols,
                uint8_t* out) {
  const size_t row_bytes = cols / Codec::kBlockValues * Codec::kBlockBytes;
  Chunk<Codec, layout> chunk;
  for (size_t col = 0; col < cols; col += kChunkCols) {
    const size_t size = std::min(kChunkCols, cols - col);
    const uint8_t* from = rows + col / Codec::kBlockValues * Codec::kBlockBytes;
    for (size_t row = 0; row < num_rows; ++row) {
      chunk.UnpackRow(from + row * row_bytes, row, size);
    }
    for (size_t s = 0; s < size / Codec::kScaleValues; ++s) {
      chunk.WriteBlock(s, out);
      out += PanelBlockBytes(layout);
    }
  }
}

template <class Codec, Layout layout>
void PackPanel(const uint8_t* rows, size_t num_rows, size_t cols,
               uint8_t* out) {
  if constexpr (TraitsOf(layout).has_scale) {
    PackBlocks<Codec, layout>(rows, num_rows, cols, out);
  } else if constexpr (TraitsOf(layout).code_bits == 32) {
    PackValues<uint32_t>(rows, num_rows, cols, out);
  } else {
    PackValues<uint16_t>(rows, num_rows, cols, out);
  }
}

template <class Codec, Layout layout>
void PackRange(const WeightView& w, size_t begin, size_t end, uint8_t* out) {
  for (size_t panel = begin; panel < end; ++panel) {
    const size_t row = panel * kPanelRows;
    PackPanel<Codec, layout>(w.Row(row), std::min(kPanelRows, w.rows - row),
                             w.cols, out + panel * PanelBytes(layout, w.cols));
  }
}

}  // namespace

size_t PackedBytes(Format format, size_t rows, size_t cols) {
  const size_t panels = (rows + kPanelRows - 1) / kPanelRows;
  return panels * PanelBytes(LayoutOf(format), cols);
}

void PackPanels(const WeightView& w, size_t begin, size_t end, uint8_t* out) {
  switch (w.format) {
#define GEMMA_PACK_CASE(name, codec, text, values, bytes, layout) \
  case Format::name:                                              \
    return PackRange<codec, Layout::layout>(w, begin, end, out);
    GEMMA_FORMATS(GEMMA_PACK_CASE)
#undef GEMMA_PACK_CASE
  }
}

}  // namespace gemma
