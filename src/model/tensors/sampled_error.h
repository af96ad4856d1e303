// The error of a matrix in another format.

#ifndef GEMMA_SRC_MODEL_TENSORS_SAMPLED_ERROR_H_
#define GEMMA_SRC_MODEL_TENSORS_SAMPLED_ERROR_H_

#include <cstddef>
#include <optional>

#include "compression/weight_view.h"

namespace gemma::internal {

// Converts up to `max_rows` evenly spread rows of w to `format`, for which
// CanQuantize must be true. Returns the sum of their squared errors divided by
// the sum of their squares, or nothing if one of the rows is not finite.
std::optional<double> SampledError(const WeightView& w, Format format,
                                   size_t max_rows);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_TENSORS_SAMPLED_ERROR_H_
