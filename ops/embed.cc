// Rows of the embedding table.

#include <cstring>

#include "compression/half.h"
#include "hwy/base.h"
#include "ops/ops.h"

namespace gemma {
namespace {

// Value (col, row) of a block of a panel.
float BlockValue(Layout layout, const uint8_t* block, size_t col, size_t row) {
  const LayoutTraits traits = TraitsOf(layout);
  const size_t index = col * kPanelRows + row;
  if (!traits.has_scale) {
    if (layout == Layout::kF32) {
      return reinterpret_cast<const float*>(block)[index];
    }
    const uint16_t bits = reinterpret_cast<const uint16_t*>(block)[index];
    return layout == Layout::kF16 ? HalfToFloat(bits) : BF16ToFloat(bits);
  }
  const float* scales = reinterpret_cast<const float*>(block);
  const float offset = traits.has_offset ? scales[kPanelRows + row] : 0.0f;
  const uint8_t* codes = block + (traits.has_offset ? 2 : 1) * kPanelRows * 4;
  int code = 0;
  if (traits.code_bits == 8) {
    code = reinterpret_cast<const int8_t*>(codes)[index];
  } else {
    const uint8_t both = codes[col / 2 * kPanelRows + row];
    code = col % 2 == 0 ? both & 15 : both >> 4;
  }
  // The product is exact; see compression/codec.h.
  return scales[row] * static_cast<float>(code) + offset;
}

}  // namespace

void Embed(const PackedView& table, size_t row, float scale,
           std::span<float> out) {
  HWY_ASSERT(row < table.rows && out.size() == table.cols);
  const uint8_t* panel = table.Panel(row / kPanelRows);
  const size_t block_cols = TraitsOf(table.layout).block_cols;
  for (size_t col = 0; col < table.cols; ++col) {
    const uint8_t* block =
        panel + col / block_cols * PanelBlockBytes(table.layout);
    out[col] = scale * BlockValue(table.layout, block, col % block_cols,
                                  row % kPanelRows);
  }
}

}  // namespace gemma
