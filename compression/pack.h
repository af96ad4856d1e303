// Packs matrices from files into the layouts that the kernels read.

#ifndef GEMMA_COMPRESSION_PACK_H_
#define GEMMA_COMPRESSION_PACK_H_

#include <cstddef>
#include <cstdint>

#include "compression/weight_view.h"

namespace gemma {

// Bytes that a matrix of this format takes once packed, in whichever layout.
size_t PackedBytes(Format format, size_t rows, size_t cols);

// Packs panels [begin, end) of w for `layout`, which is LayoutOf(w.format) or
// TopLayoutOf(w.format), that is, rows [begin * kPanelRows,
// min(end * kPanelRows, w.rows)), into `out`, the start of the packed matrix
// (aligned to 64 bytes, PackedBytes long). No value changes. Different ranges
// may be packed from different threads.
void PackPanels(const WeightView& w, Layout layout, size_t begin, size_t end,
                uint8_t* out);

}  // namespace gemma

#endif  // GEMMA_COMPRESSION_PACK_H_
