// Shows activations to taps.

#ifndef GEMMA_SRC_FORWARD_TAP_H_
#define GEMMA_SRC_FORWARD_TAP_H_

#include <cstddef>
#include <span>

#include "gemma/taps.h"
#include "ops/matrix_view.h"
#include "src/forward/segment.h"

namespace gemma::internal {

inline bool HasTap(const Segment& segment) {
  return segment.tap != nullptr && *segment.tap;
}

// Shows each segment's rows of x to its tap, if it has one. x has a row for
// each word of the segments.
void Tap(TapPoint point, size_t layer, std::span<const Segment> segments,
         MatrixView<float> x);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORWARD_TAP_H_
