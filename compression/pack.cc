#include "compression/pack.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "compression/codec_bytes.h"
#include "compression/codecs.h"

namespace gemma::internal {
namespace {

// Transposes 16 rows of 16 values, `stride` values apart, into out[0..255]. At
// -O3, compilers turn these constant bounds into a few interleaving
// instructions per vector.
template <class T>
void Transpose(const T* __restrict rows, size_t stride, T* __restrict out) {
  for (size_t col = 0; col < 16; ++col) {
    for (size_t row = 0; row < 16; ++row) {
      out[col * 16 + row] = rows[row * stride + col];
    }
  }
}

// Packs one panel of values that need no decoding. `num_rows` is 1..16, the
// number of consecutive rows from `rows` on.
template <class T>
void PackValues(const uint8_t* rows, size_t num_rows, size_t cols,
                uint8_t* out) {
  constexpr size_t kTileCols = 16;
  alignas(64) T tile[kPanelRows * kTileCols] = {};
  alignas(64) T transposed[kPanelRows * kTileCols];
  for (size_t col = 0; col < cols; col += kTileCols) {
    // Beyond the row, the last tile keeps values of the tile before it. They
    // are not copied to the panel.
    const size_t size = std::min(kTileCols, cols - col);
    for (size_t row = 0; row < num_rows; ++row) {
      const uint8_t* from = rows + (row * cols + col) * sizeof(T);
      if (size == kTileCols) {  // a constant size compiles to plain moves
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

// As PackValues, for kBF16: a pair of columns moves as one value.
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

// The columns unpacked at a time: those of the largest block.
constexpr size_t kChunkCols = 256;

// The code of each level of a layout with a table, at index level + zero.
template <Layout layout>
constexpr std::array<uint8_t, 256> kCodeOfLevel = [] {
  std::array<uint8_t, 256> codes{};
  for (uint8_t code = 0; code < 16; ++code) {
    const LayoutTraits traits = TraitsOf(layout);
    codes[static_cast<size_t>(traits.levels[code] + traits.zero)] = code;
  }
  return codes;
}();

// Four words, in a vector type that every CPU has.
using Words = uint32_t __attribute__((vector_size(16)));

// Writes a row's word of vector `vector` of those at `out`.
void WriteWord(uint32_t word, uint8_t* out, size_t vector, size_t row) {
  std::memcpy(out + vector * kCodeVectorBytes + row * sizeof(word), &word,
              sizeof(word));
}
void WriteWords(Words words, uint8_t* out, size_t vector, size_t row) {
  for (size_t i = 0; i < 4; ++i) WriteWord(words[i], out, vector + i, row);
}

// Up to kChunkCols unpacked columns of one panel.
template <class Codec, Layout layout>
struct Chunk {
  static constexpr LayoutTraits kTraits = TraitsOf(layout);
  static constexpr size_t kScales = kChunkCols / Codec::kScaleValues;

  // Rows that are never unpacked stay zero.
  alignas(64) uint8_t codes[kPanelRows][kChunkCols] = {};
  uint16_t scales[kScales][kPanelRows] = {};  // halves, or bfloat16s
  uint16_t offsets[kScales][kPanelRows] = {};
  uint8_t steps[kScales][kPanelRows] = {};  // int8, where rows have units
  SuperScales super_scales[kPanelRows] = {};

  // Unpacks `cols` columns, a multiple of kBlockValues, of one row.
  void UnpackRow(const uint8_t* block, size_t row, size_t cols) {
    int8_t values[kChunkCols];
    for (size_t col = 0; col < cols; col += Codec::kBlockValues) {
      float unused[2][kScales];
      Codec::Unpack(block, values + col, unused[0], unused[1]);
      if constexpr (SuperCodec<Codec>) {
        super_scales[row] = Codec::Scales(block);
      } else if constexpr (kTraits.has_row_units) {
        for (size_t i = 0; i < Codec::kSteps; ++i) {
          steps[col / Codec::kScaleValues + i][row] = block[i];
        }
      } else if constexpr (kTraits.has_bf16_scales) {
        for (size_t i = 0; i < Codec::kBlockValues / Codec::kScaleValues; ++i) {
          scales[col / Codec::kScaleValues + i][row] =
              Codec::ScaleBF16(block[i]);
        }
      } else {  // blocks of all other formats begin with halves
        scales[col / Codec::kScaleValues][row] = ReadU16(block);
        offsets[col / Codec::kScaleValues][row] = ReadU16(block + 2);
      }
      block += Codec::kBlockBytes;
    }
    for (size_t col = 0; col < cols; ++col) {
      const auto level = static_cast<uint8_t>(values[col] + kTraits.zero);
      if constexpr (kTraits.levels != nullptr) {
        codes[row][col] = kCodeOfLevel<layout>[level];
      } else {
        codes[row][col] = level;
      }
    }
  }

  // Writes block `block` of the chunk, and its RestBytes to `rest`.
  void WriteBlock(size_t block, uint8_t* out, uint8_t* rest) const {
    if constexpr (kTraits.IsSuper()) {
      WriteSuperHeader(out);
    } else if constexpr (kTraits.has_row_units) {
      constexpr size_t kSteps = Codec::kSteps;
      std::memcpy(out, steps[block * kSteps], kSteps * kPanelRows);
    } else {
      constexpr size_t kGroups = kTraits.block_cols / kTraits.scale_cols;
      std::memcpy(out, scales[block * kGroups], kGroups * sizeof(scales[0]));
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
    for (size_t row = 0; row < kPanelRows; ++row) {
      // Word g holds the codes of columns 4 * g to 4 * g + 3.
      Words low, high;  // g = 0..3, g = 4..7
      std::memcpy(&low, codes[row] + col, sizeof(low));
      std::memcpy(&high, codes[row] + col + sizeof(low), sizeof(high));
      if constexpr (PlaneBits(layout) == 8) {
        WriteWords(low, out, 0, row);
        WriteWords(high, out, 4, row);
        continue;
      }
      if constexpr (RestBytes(layout) != 0) {
        WriteQuarters(low & 0x03030303, high & 0x03030303, rest, 0, row);
        low = (low >> 2) & 0x3F3F3F3F;
        high = (high >> 2) & 0x3F3F3F3F;
      }
      WriteWords((low & 0x0F0F0F0F) | ((high & 0x0F0F0F0F) << 4), out, 0, row);
      low = (low >> 4) & 0x0F0F0F0F;
      high = (high >> 4) & 0x0F0F0F0F;
      if constexpr (PlaneBits(layout) == 6) {
        WriteQuarters(low, high, out, 4, row);
      }
      if constexpr (PlaneBits(layout) == 5) {
        const Words bits = low | (high << 4);
        WriteWord(bits[0] | bits[1] << 1 | bits[2] << 2 | bits[3] << 3, out, 4,
                  row);
      }
    }
  }

  // Packs two bits of each byte: four words become one.
  static void WriteQuarters(Words low, Words high, uint8_t* out, size_t vector,
                            size_t row) {
    const Words even = __builtin_shufflevector(low, high, 0, 2, 4, 6);
    const Words odd = __builtin_shufflevector(low, high, 1, 3, 5, 7);
    const Words pairs = even | (odd << 2);
    WriteWord(pairs[0] | pairs[1] << 4, out, vector, row);
    WriteWord(pairs[2] | pairs[3] << 4, out, vector + 1, row);
  }
};

// As PackValues, for formats with blocks.
template <class Codec, Layout layout>
void PackBlocks(const uint8_t* rows, size_t num_rows, size_t cols,
                uint8_t* out) {
  constexpr size_t kUnitBytes = UnitBytes(layout) / kPanelRows;
  const size_t block_bytes = cols / Codec::kBlockValues * Codec::kBlockBytes;
  const size_t row_bytes = block_bytes + kUnitBytes;
  constexpr size_t kBlockCols = TraitsOf(layout).block_cols;
  uint8_t* rest = out + cols / kBlockCols * PanelBlockBytes(layout);
  if constexpr (kUnitBytes != 0) {
    std::memset(rest, 0, UnitBytes(layout));
    for (size_t row = 0; row < num_rows; ++row) {
      std::memcpy(rest + row * kUnitBytes, rows + row * row_bytes + block_bytes,
                  kUnitBytes);
    }
  }
  Chunk<Codec, layout> chunk;
  for (size_t col = 0; col < cols; col += kChunkCols) {
    const size_t size = std::min(kChunkCols, cols - col);
    const uint8_t* from = rows + col / Codec::kBlockValues * Codec::kBlockBytes;
    for (size_t row = 0; row < num_rows; ++row) {
      chunk.UnpackRow(from + row * row_bytes, row, size);
    }
    for (size_t block = 0; block < size / kBlockCols; ++block) {
      chunk.WriteBlock(block, out, rest);
      out += PanelBlockBytes(layout);
      rest += RestBytes(layout);
    }
  }
}

// As PackBlocks, for codes that need no unpacking.
template <class Codec>
void PackNibbles(const uint8_t* rows, size_t num_rows, size_t cols,
                 uint8_t* out) {
  constexpr uint8_t kZeros[Codec::kBlockBytes] = {};
  constexpr size_t kHalfBytes = sizeof(uint16_t) * kPanelRows;
  const size_t row_bytes = cols / Codec::kBlockValues * Codec::kBlockBytes;
  for (size_t col = 0; col < cols; col += kTileCols) {
    uint8_t* codes = out + (Codec::kHasOffset ? 2 : 1) * kHalfBytes;
    for (size_t row = 0; row < kPanelRows; ++row) {
      const uint8_t* block = row < num_rows ? rows + row * row_bytes : kZeros;
      std::memcpy(out + row * sizeof(uint16_t), block, sizeof(uint16_t));
      if constexpr (Codec::kHasOffset) {
        std::memcpy(out + kHalfBytes + row * sizeof(uint16_t), block + 2,
                    sizeof(uint16_t));
      }
      Words words;
      std::memcpy(&words, block + Codec::kNibbles, sizeof(words));
      WriteWords(words, codes, 0, row);
    }
    rows += Codec::kBlockBytes;
    out = codes + 4 * kCodeVectorBytes;
  }
}

// As PackValues, for formats whose values become float32.
template <class Codec>
void PackAsF32(const uint8_t* rows, size_t num_rows, size_t cols,
               uint8_t* out) {
  float values[kPanelRows * kChunkCols];
  for (size_t col = 0; col < cols; col += kChunkCols) {
    const size_t size = std::min(kChunkCols, cols - col);
    for (size_t row = 0; row < num_rows; ++row) {
      const uint8_t* from = rows + (row * cols + col) * Codec::kBlockBytes;
      for (size_t i = 0; i < size; ++i) {
        values[row * size + i] = Codec::Decode(from + i * Codec::kBlockBytes);
      }
    }
    PackValues<uint32_t>(reinterpret_cast<const uint8_t*>(values), num_rows,
                         size, out);
    out += PanelBytes(Layout::kF32, size);
  }
}

// As PackPairs, for formats whose values become bfloat16.
template <class Codec>
void PackAsBF16(const uint8_t* rows, size_t num_rows, size_t cols,
                uint8_t* out) {
  const size_t row_bytes = cols / Codec::kBlockValues * Codec::kBlockBytes;
  uint16_t values[kPanelRows * kChunkCols];
  for (size_t col = 0; col < cols; col += kChunkCols) {
    const size_t size = std::min(kChunkCols, cols - col);
    for (size_t row = 0; row < num_rows; ++row) {
      const uint8_t* block = rows + row * row_bytes +
                             col / Codec::kBlockValues * Codec::kBlockBytes;
      for (size_t i = 0; i < size; i += Codec::kBlockValues) {
        Codec::UnpackBF16(block, values + row * size + i);
        block += Codec::kBlockBytes;
      }
    }
    PackPairs(reinterpret_cast<const uint8_t*>(values), num_rows, size, out);
    out += PanelBytes(Layout::kBF16, size);
  }
}

template <class Codec, Layout layout>
void PackPanel(const uint8_t* rows, size_t num_rows, size_t cols,
               uint8_t* out) {
  if constexpr (NibbleCodec<Codec>) {
    PackNibbles<Codec>(rows, num_rows, cols, out);
  } else if constexpr (BlockCodec<Codec>) {
    PackBlocks<Codec, layout>(rows, num_rows, cols, out);
  } else if constexpr (BF16Codec<Codec>) {
    PackAsBF16<Codec>(rows, num_rows, cols, out);
  } else if constexpr (std::is_same_v<Codec, F64>) {
    PackAsF32<Codec>(rows, num_rows, cols, out);
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
#define GEMMA_PACK_CASE(name, codec, text, values, bytes, layout, ...) \
  case Format::name:                                                   \
    return PackRange<codec, Layout::layout>(w, begin, end, out);
    GEMMA_FORMATS(GEMMA_PACK_CASE)
#undef GEMMA_PACK_CASE
  }
}

}  // namespace gemma::internal
