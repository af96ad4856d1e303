// What a format loses of a matrix.

#ifndef GEMMA_SRC_MODEL_SAMPLED_ERROR_H_
#define GEMMA_SRC_MODEL_SAMPLED_ERROR_H_

#include <cstddef>
#include <optional>

#include "compression/weight_view.h"

namespace gemma {

// Squared error of up to `max_rows` of w's rows, evenly spread, once they are
// in `format` (CanQuantize), relative to their squares. Nothing if one of them
// is not finite.
std::optional<double> SampledError(const WeightView& w, Format format,
                                   size_t max_rows);

}  // namespace gemma

#endif  // GEMMA_SRC_MODEL_SAMPLED_ERROR_H_
