// Finds weights that are infinite or not a number.

#ifndef GEMMA_SRC_QUANTIZE_FINITE_H_
#define GEMMA_SRC_QUANTIZE_FINITE_H_

#include <cstddef>
#include <optional>

#include "compression/weight_view.h"
#include "ops/workers.h"

namespace gemma::internal {

struct WeightPosition {
  size_t row = 0;
  size_t col = 0;
};

// The first value, in the order of rows, that is infinite or not a number.
std::optional<WeightPosition> FindNonFinite(const WeightView& view,
                                            Workers& workers);
std::optional<WeightPosition> FindNonFinite(const PackedView& view,
                                            Workers& workers);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_QUANTIZE_FINITE_H_
