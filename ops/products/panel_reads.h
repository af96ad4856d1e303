// How cores read panels of weights from memory. The best way depends on the
// CPU.

#ifndef GEMMA_OPS_PRODUCTS_PANEL_READS_H_
#define GEMMA_OPS_PRODUCTS_PANEL_READS_H_

#include <cstddef>

namespace gemma::internal {

struct PanelReads {
  size_t streams;      // panels that a core reads side by side
  size_t ahead_bytes;  // how far ahead of its use each panel is fetched
};

// The most streams. Cache misses of different streams overlap, and while the
// sums of one panel wait, those of others are computed.
inline constexpr PanelReads kSideBySide = {.streams = 8, .ahead_bytes = 1024};

// Returns the fastest way on this CPU for kernels whose sums do not wait and
// which read whole panels.
PanelReads GetPanelReads();

// Sets what GetPanelReads returns. Only while no kernel runs.
void SetPanelReadsForTest(const PanelReads& reads);

}  // namespace gemma::internal

#endif  // GEMMA_OPS_PRODUCTS_PANEL_READS_H_
