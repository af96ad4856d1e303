// Running a test with every way to read panels, whichever this CPU takes.

#ifndef GEMMA_TESTS_SUPPORT_FOR_EACH_PANEL_READS_H_
#define GEMMA_TESTS_SUPPORT_FOR_EACH_PANEL_READS_H_

#include "gtest/gtest.h"
#include "ops/panel_reads.h"

namespace gemma {

// One panel after the other, all of them side by side, and what is between;
// fetched ahead by less than a tile and by more than a panel.
inline constexpr PanelReads kPanelReads[] = {
    {1, 4096}, {1, 64}, {3, 1}, kSideBySide, {8, 1 << 20}};

template <class Body>
void ForEachPanelReads(Body body) {
  const PanelReads chosen = GetPanelReads();
  for (const PanelReads& reads : kPanelReads) {
    SCOPED_TRACE(testing::Message() << reads.streams << " streams, "
                                    << reads.ahead_bytes << " bytes ahead");
    SetPanelReadsForTest(reads);
    body();
  }
  SetPanelReadsForTest(chosen);
}

}  // namespace gemma

#endif  // GEMMA_TESTS_SUPPORT_FOR_EACH_PANEL_READS_H_
