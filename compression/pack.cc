#include "compression/pack.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "compression/codec_bytes.h"
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

// As PackValues, for kBF16: pairs of columns move as one value.
void PackPairs(const uint8_t* rows, size_t num_rows, size_t cols,
               uint8_t* out) {
  if (cols % 2 == 0) {
    return PackValues<uint32_t>(rows, num_rows, cols / 2, out);
  }
  for (size_t col = 0; col < cols; col += 2) {
    uint16_t pairs[kPanelRows][2] = {};
    const size_t size = std::min<size_t>(2, cols - col);
    for (size_t row = 0; row < num_rows; ++row) {
      std::memcpy(pairs[row], rows + (row * cols + col) * sizeof(uint16_t),
                  size * sizeof(uint16_t));
    }
    std::memcpy(out, pairs, sizeof(pairs));
    out += sizeof(pairs);
  }
}

// Columns unpacked at a time: those of the largest block.
constexpr size_t kChunkCols = 256;

// The code of each value of kIQ4Codes, at index value + 128.
constexpr std::array<uint8_t, 256> kIQ4Indices = [] {
  std::array<uint8_t, 256> indices{};
  for (uint8_t i = 0; i < 16; ++i) {
    indices[static_cast<size_t>(kIQ4Codes[i] + 128)] = i;
  }
  return indices;
}();

// Up to kChunkCols columns of one panel, unpacked.
template <class Codec, Layout layout>
struct Chunk {
  static constexpr LayoutTraits kTraits = TraitsOf(layout);
  static constexpr size_t kScales = kChunkCols / Codec::kScaleValues;

  // Rows that are never unpacked stay zero.
  alignas(64) uint8_t codes[kPanelRows][kChunkCols] = {};
  uint16_t scales[kScales][kPanelRows] = {};  // halves
  uint16_t offsets[kScales][kPanelRows] = {};
  SuperScales super_scales[kPanelRows] = {};

  // Unpacks `cols` columns, a multiple of kBlockValues, of one row.
  void UnpackRow(const uint8_t* block, size_t row, size_t cols) {
    int8_t values[kChunkCols];
    for (size_t col = 0; col < cols; col += Codec::kBlockValues) {
      float unused[2][kScales];
      Codec::Unpack(block, values + col, unused[0], unused[1]);
      if constexpr (SuperCodec<Codec>) {
        super_scales[row] = Codec::Scales(block);
      } else {  // blocks of all other formats begin with them
        scales[col / Codec::kScaleValues][row] = ReadU16(block);
        offsets[col / Codec::kScaleValues][row] = ReadU16(block + 2);
      }
      block += Codec::kBlockBytes;
    }
    for (size_t col = 0; col < cols; ++col) {
      if constexpr (kTraits.has_table) {
        codes[row][col] = kIQ4Indices[static_cast<size_t>(values[col] + 128)];
      } else {
        codes[row][col] = static_cast<uint8_t>(values[col] + kTraits.zero);
      }
    }
  }

  // Writes block `block` of the chunk, and its RestBytes to `rest`.
  void WriteBlock(size_t block, uint8_t* out, uint8_t* rest) const {
    if constexpr (kTraits.IsSuper()) {
      WriteSuperHeader(out);
    } else {
      std::memcpy(out, scales[block], sizeof(scales[block]));
      if constexpr (kTraits.has_offset) {
        std::memcpy(out + sizeof(scales[block]), offsets[block],
                    sizeof(offsets[block]));
      }
    }
    out += HeaderBytes(layout);
    for (size_t col = 0; col < kTraits.block_cols; col += kTileCols) {
      WriteCodes(block * kTraits.block_cols + col, out, rest);
      out += TileBytes(layout);
    }
  }

 private:
  void WriteSuperHeader(uint8_t* out) const {
    for (size_t row = 0; row < kPanelRows; ++row) {
      const SuperScales& from = super_scales[row];
      uint8_t* at = out + row * sizeof(uint16_t);
      std::memcpy(at, &from.unit, sizeof(from.unit));
      at = out + kPanelRows * sizeof(uint16_t);
      if constexpr (kTraits.has_offset) {
        std::memcpy(at + row * sizeof(uint16_t), &from.offset_unit,
                    sizeof(from.offset_unit));
        at += kPanelRows * sizeof(uint16_t);
      }
      for (size_t i = 0; i < kScales; ++i) {
        at[row] = static_cast<uint8_t>(from.s[i]);
        at += kPanelRows;
        if constexpr (kTraits.has_offset) {
          at[row] = static_cast<uint8_t>(from.m[i]);
          at += kPanelRows;
        }
      }
    }
  }

  // Writes the codes of kTileCols columns from `col` on; see Layout.
  void WriteCodes(size_t col, uint8_t* out,
                  [[maybe_unused]] uint8_t* rest) const {
    // Word w of vector g holds the codes of row w.
    uint32_t g[kCodeVectors][kPanelRows];
    for (size_t row = 0; row < kPanelRows; ++row) {
      for (size_t i = 0; i < kCodeVectors; ++i) {
        std::memcpy(&g[i][row], codes[row] + col + 4 * i, sizeof(uint32_t));
      }
    }
    if constexpr (PlaneBits(layout) == 8) {
      std::memcpy(out, g, sizeof(g));
      return;
    }
    if constexpr (RestBytes(layout) != 0) {
      uint32_t lower[2][kPanelRows] = {};
      for (size_t i = 0; i < kCodeVectors; ++i) {
        for (size_t row = 0; row < kPanelRows; ++row) {
          lower[i / 4][row] |= (g[i][row] & 0x03030303) << 2 * (i % 4);
          g[i][row] = (g[i][row] >> 2) & 0x3F3F3F3F;
        }
      }
      static_assert(sizeof(lower) == RestBytes(layout));
      std::memcpy(rest, lower, sizeof(lower));
    }
    constexpr uint32_t kLow = 0x0F0F0F0F;
    uint32_t planes[6][kPanelRows] = {};
    for (size_t row = 0; row < kPanelRows; ++row) {
      for (size_t i = 0; i < 4; ++i) {
        planes[i][row] = (g[i][row] & kLow) | ((g[4 + i][row] & kLow) << 4);
      }
      for (size_t i = 0; i < kCodeVectors; ++i) {
        const uint32_t high = (g[i][row] >> 4) & kLow;
        if constexpr (PlaneBits(layout) == 5) planes[4][row] |= high << i;
        if constexpr (PlaneBits(layout) == 6) {
          planes[4 + i / 4][row] |= high << 2 * (i % 4);
        }
      }
    }
    std::memcpy(out, planes, TileBytes(layout));
  }
};

// As PackValues, for formats with blocks.
template <class Codec, Layout layout>
void PackBlocks(const uint8_t* rows, size_t num_rows, size_t cols,
                uint8_t* out) {
  const size_t row_bytes = cols / Codec::kBlockValues * Codec::kBlockBytes;
  uint8_t* rest = out + cols / Codec::kBlockValues * PanelBlockBytes(layout);
  Chunk<Codec, layout> chunk;
  for (size_t col = 0; col < cols; col += kChunkCols) {
    const size_t size = std::min(kChunkCols, cols - col);
    const uint8_t* from = rows + col / Codec::kBlockValues * Codec::kBlockBytes;
    for (size_t row = 0; row < num_rows; ++row) {
      chunk.UnpackRow(from + row * row_bytes, row, size);
    }
    for (size_t block = 0; block < size / Codec::kBlockValues; ++block) {
      chunk.WriteBlock(block, out, rest);
      out += PanelBlockBytes(layout);
      rest += RestBytes(layout);
    }
  }
}

template <class Codec, Layout layout>
void PackPanel(const uint8_t* rows, size_t num_rows, size_t cols,
               uint8_t* out) {
  if constexpr (BlockCodec<Codec>) {
    PackBlocks<Codec, layout>(rows, num_rows, cols, out);
  } else if constexpr (layout == Layout::kF32) {
    PackValues<uint32_t>(rows, num_rows, cols, out);
  } else if constexpr (layout == Layout::kF16) {
    PackValues<uint16_t>(rows, num_rows, cols, out);
  } else {
    PackPairs(rows, num_rows, cols, out);
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

void PackPanels(const WeightView& w, Layout layout, size_t begin, size_t end,
                uint8_t* out) {
  if (w.format == Format::kQ8_0 && layout == Layout::kU8Split) {
    return PackRange<Q8_0, Layout::kU8Split>(w, begin, end, out);
  }
  switch (w.format) {
#define GEMMA_PACK_CASE(name, codec, text, values, bytes, layout) \
  case Format::name:                                              \
    return PackRange<codec, Layout::layout>(w, begin, end, out);
    GEMMA_FORMATS(GEMMA_PACK_CASE)
#undef GEMMA_PACK_CASE
  }
}

}  // namespace gemma
