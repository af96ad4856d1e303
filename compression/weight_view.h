// Views of matrices of weights. A view owns nothing.

#ifndef GEMMA_COMPRESSION_WEIGHT_VIEW_H_
#define GEMMA_COMPRESSION_WEIGHT_VIEW_H_

#include <cstddef>
#include <cstdint>

#include "compression/format.h"

namespace gemma::internal {

// A matrix as stored in a file: row-major, in rows of whole blocks, at any
// alignment. The bytes were checked to hold rows * RowBytes().
struct WeightView {
  Format format = Format::kF32;
  size_t rows = 0;
  size_t cols = 0;  // a multiple of BlockValues(format)
  const uint8_t* data = nullptr;

  size_t RowBytes() const {
    return cols / BlockValues(format) * BlockBytes(format) +
           RowUnitBytes(format);
  }
  const uint8_t* Row(size_t row) const { return data + row * RowBytes(); }
};

// A matrix packed for the kernels, in panels of kPanelRows rows; see Layout.
struct PackedView {
  Layout layout = Layout::kF32;
  size_t rows = 0;
  size_t cols = 0;
  const uint8_t* data = nullptr;  // aligned to 64 bytes

  size_t NumPanels() const { return (rows + kPanelRows - 1) / kPanelRows; }
  size_t Bytes() const { return NumPanels() * PanelBytes(layout, cols); }
  const uint8_t* Panel(size_t panel) const {
    return data + panel * PanelBytes(layout, cols);
  }
  // Returns the part of the panel after its blocks: bits of codes (see
  // kU8Split), or the units of its rows.
  const uint8_t* Rest(size_t panel) const {
    return Panel(panel) +
           cols / TraitsOf(layout).block_cols * PanelBlockBytes(layout);
  }
};

}  // namespace gemma::internal

#endif  // GEMMA_COMPRESSION_WEIGHT_VIEW_H_
