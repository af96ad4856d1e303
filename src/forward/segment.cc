#include "src/forward/segment.h"

namespace gemma::internal {

void Tap(TapPoint point, size_t layer, std::span<const Segment> segments,
         MatrixView<float> x) {
  size_t row = 0;
  for (const Segment& segment : segments) {
    const size_t count = segment.words.size();
    if (HasTap(segment)) {
      (*segment.tap)({point, layer, segment.position, count},
                     {x.Row(row).data(), count * x.cols});
    }
    row += count;
  }
}

}  // namespace gemma::internal
