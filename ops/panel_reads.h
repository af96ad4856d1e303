// How cores read the panels of weights from memory, where CPUs differ.

#ifndef GEMMA_OPS_PANEL_READS_H_
#define GEMMA_OPS_PANEL_READS_H_

#include <cstddef>

namespace gemma {

struct PanelReads {
  size_t streams;      // panels that a core reads side by side
  size_t ahead_bytes;  // how far ahead of its use each is fetched
};

// The most streams there are. What is missing at the same time is fetched at
// the same time, and while the sums of one panel wait, others are computed.
inline constexpr PanelReads kSideBySide = {.streams = 8, .ahead_bytes = 1024};

// What this CPU is fastest with where sums do not wait and all is read.
PanelReads GetPanelReads();

// What GetPanelReads returns from now on, while nothing computes.
void SetPanelReadsForTest(const PanelReads& reads);

}  // namespace gemma

#endif  // GEMMA_OPS_PANEL_READS_H_
