// Named points of the forward pass where a caller may read or change
// activations.

#ifndef GEMMA_TAPS_H_
#define GEMMA_TAPS_H_

#include <cstddef>
#include <functional>

#include "absl/types/span.h"

namespace gemma {

// What may be read and changed.
enum class TapPoint {
  kMixOutput,    // what attention or recurrence adds to the residual stream
  kFfwOutput,    // what the feed-forward layer adds to it
  kBlockOutput,  // the residual stream after the block
};

// Where activations come from.
struct TapSite {
  TapPoint point = TapPoint::kBlockOutput;  // what they are
  size_t layer = 0;                         // 0-based
  size_t position = 0;                      // of the first row
  size_t num_rows = 0;                      // consecutive positions
};

// Called with activations [num_rows, model_dim], row-major, from the thread
// that called Forward. Changes to them take effect. How many rows come at once
// depends on the prefill chunk; which rows come does not.
using TapFunction =
    std::function<void(const TapSite& site, absl::Span<float> activations)>;

}  // namespace gemma

#endif  // GEMMA_TAPS_H_
