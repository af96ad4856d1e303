// Packs matrices from files into the layouts that the kernels read.

#ifndef GEMMA_COMPRESSION_PACK_H_
#define GEMMA_COMPRESSION_PACK_H_

#include <cstddef>
#include <cstdint>

#include "compression/weight_view.h"

namespace gemma::internal {

// Returns the bytes that a packed matrix of this format takes, in any layout.
size_t PackedBytes(Format format, size_t rows, size_t cols);

// Packs panels [begin, end) of w, that is, rows [begin * kPanelRows,
// min(end * kPanelRows, w.rows)), in `layout`, which is LayoutOf(w.format) or
// TopLayoutOf(w.format). `out` is the start of the packed matrix (aligned to 64
// bytes, PackedBytes long). No value changes. Different threads may pack
// different ranges at the same time.
void PackPanels(const WeightView& w, Layout layout, size_t begin, size_t end,
                uint8_t* out);

}  // namespace gemma::internal

#endif  // GEMMA_COMPRESSION_PACK_H_
