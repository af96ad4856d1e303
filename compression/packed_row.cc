#include "compression/packed_row.h"

#include <algorithm>
#include <cstdint>

#include "compression/codec_bytes.h"
#include "compression/half.h"

namespace gemma::internal {
namespace {

// The scale (for a row's unit of 1) and offset of the group of columns `group`
// of a block; see Layout.
struct Scale {
  float scale;
  float offset;
};

Scale ReadScale(const LayoutTraits& traits, const uint8_t* header, size_t row,
                size_t group) {
  constexpr size_t kHalves = kPanelRows * sizeof(uint16_t);
  if (traits.has_row_units) {
    const auto step = static_cast<int8_t>(header[group * kPanelRows + row]);
    return {static_cast<float>(step), 0.0f};
  }
  if (traits.has_bf16_scales) {
    return {BF16ToFloat(ReadU16(header + group * kHalves + 2 * row)), 0.0f};
  }
  const size_t parts = traits.has_offset ? 2 : 1;
  const float unit = traits.factor * ReadHalf(header + 2 * row);
  const float offset_unit =
      traits.has_offset ? ReadHalf(header + kHalves + 2 * row) : 0.0f;
  if (!traits.IsSuper()) return {unit, offset_unit};
  const int8_t* steps = reinterpret_cast<const int8_t*>(header) +
                        parts * (kHalves + group * kPanelRows) + row;
  const float s = steps[0];
  const float m = traits.has_offset ? steps[kPanelRows] : 0.0f;
  return {unit * s, -(offset_unit * m)};
}

// Returns code (col, row) of a tile, without the bits that lie outside the
// block.
int ReadCode(size_t code_bits, const uint8_t* tile, size_t col, size_t row) {
  const size_t byte = 4 * row + col % 4;
  const size_t vector = col / 4;
  const auto plane = [&](size_t i) {
    return tile[i * kCodeVectorBytes + byte];
  };
  if (code_bits == 8) return plane(vector);
  const int low = (plane(vector % 4) >> (vector < 4 ? 0 : 4)) & 0xF;
  int high = 0;
  if (code_bits == 5) high = (plane(4) >> vector) & 1;
  if (code_bits == 6) high = (plane(4 + vector / 4) >> 2 * (vector % 4)) & 3;
  return low | (high << 4);
}

// Returns the lower two bits of a code of kU8Split.
int ReadRest(const uint8_t* rest, size_t col, size_t row) {
  const size_t vector = col / 4;
  const int four = rest[vector / 4 * kCodeVectorBytes + 4 * row + col % 4];
  return (four >> 2 * (vector % 4)) & 3;
}

void DecodeValues(const PackedView& w, const uint8_t* panel, size_t row,
                  float* out) {
  const auto* words = reinterpret_cast<const float*>(panel);
  const auto* halves = reinterpret_cast<const uint16_t*>(panel);
  for (size_t col = 0; col < w.cols; ++col) {
    const size_t index = col * kPanelRows + row;
    if (w.layout == Layout::kF32) out[col] = words[index];
    if (w.layout == Layout::kF16) out[col] = HalfToFloat(halves[index]);
    if (w.layout == Layout::kBF16) {
      out[col] =
          BF16ToFloat(halves[(col / 2 * kPanelRows + row) * 2 + col % 2]);
    }
  }
}

}  // namespace

void DecodePackedRow(const PackedView& w, size_t row, float* out) {
  const LayoutTraits traits = TraitsOf(w.layout);
  const uint8_t* block = w.Panel(row / kPanelRows);
  const uint8_t* rest = w.Rest(row / kPanelRows);
  row %= kPanelRows;
  if (traits.code_bits == 0) return DecodeValues(w, block, row, out);
  const float unit =
      traits.has_row_units ? BF16ToFloat(ReadU16(rest + 2 * row)) : 1.0f;
  for (size_t col = 0; col < w.cols; ++col) {
    const size_t in_block = col % traits.block_cols;
    if (col != 0 && in_block == 0) block += PanelBlockBytes(w.layout);
    const Scale scale =
        ReadScale(traits, block, row, in_block / traits.scale_cols);
    const uint8_t* tile = block + HeaderBytes(w.layout) +
                          in_block / kTileCols * TileBytes(w.layout);
    int code = ReadCode(PlaneBits(w.layout), tile, col % kTileCols, row);
    if (RestBytes(w.layout) != 0) {
      const uint8_t* lower = rest + col / kTileCols * RestBytes(w.layout);
      code = 4 * code + ReadRest(lower, col % kTileCols, row);
    }
    const int level =
        traits.levels != nullptr ? traits.levels[code] : code - traits.zero;
    // The products are exact; see compression/codec.h.
    out[col] = unit * scale.scale * static_cast<float>(level);
    if (traits.has_offset) out[col] += scale.offset;
  }
}

}  // namespace gemma::internal
