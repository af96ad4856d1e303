// Which format each matrix of a model gets, where a budget of bits is given.

#ifndef GEMMA_SRC_QUANTIZE_PLAN_FORMATS_H_
#define GEMMA_SRC_QUANTIZE_PLAN_FORMATS_H_

#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compression/format.h"
#include "ops/workers.h"
#include "src/model/bind_weights.h"

namespace gemma {

// How much an error matters in each column of a weight's matrix; empty: all
// alike.
using ImportanceOf =
    std::function<absl::Span<const float>(const WeightSpec& spec)>;

// A format for each of `weights`, of those of `ladder` (CanQuantize), or the
// one that its tensor has: so that the model takes at most `bits` for each of
// its values, and loses least. What is no matrix keeps its values, and counts
// as float32.
//
// What a format loses in a matrix is measured on some of its rows: squared
// errors, relative to the values, both by importance. How much that matters is
// known for the role of the matrix: see kSensitivities. Of all matrices, what
// saves most for its bits is taken first.
//
// Errors: InvalidArgument if even the smallest formats take more, or if a row
// is not finite.
absl::StatusOr<std::vector<Format>> PlanFormats(
    absl::Span<const BoundWeight> weights, double bits,
    absl::Span<const Format> ladder, const ImportanceOf& importance,
    Workers& workers);

}  // namespace gemma

#endif  // GEMMA_SRC_QUANTIZE_PLAN_FORMATS_H_
