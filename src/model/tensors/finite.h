// Finds weights that are infinite or not a number.

#ifndef GEMMA_SRC_MODEL_TENSORS_FINITE_H_
#define GEMMA_SRC_MODEL_TENSORS_FINITE_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "compression/weight_view.h"
#include "ops/workers.h"
#include "src/model/tensors/weight_table.h"
#include "src/model/tensors/weights.h"

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

// A weight and the name of its tensor.
struct NamedWeight {
  WeightSpec spec;
  std::string name;
};

// The first of the weights, in this order, that has a value that is infinite or
// not a number; null: none has. Reads all values.
const NamedWeight* FindNonFinite(const std::vector<NamedWeight>& names,
                                 const Weights& weights, Workers& workers);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_TENSORS_FINITE_H_
