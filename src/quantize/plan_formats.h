// Which format each matrix of a model gets, where a budget of bits is given.

#ifndef GEMMA_SRC_QUANTIZE_PLAN_FORMATS_H_
#define GEMMA_SRC_QUANTIZE_PLAN_FORMATS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compression/format.h"
#include "ops/workers.h"
#include "src/model/outline.h"

namespace gemma {

// A format for each of `weights`, of those of `ladder` (CanQuantize), or the
// one that its tensor has: so that the model takes at most `bits` for each of
// its values, and loses least. What is no matrix keeps its values, and counts
// as float32.
//
// What a format loses in a matrix is measured on some of its rows: squared
// errors, relative to the values. How much that matters is known for the role
// of the matrix: see WeightRow::sensitivity. Of all matrices, what saves most
// for its bits is taken first. (Errors weighted by the importance of columns
// say less: with them, mixes of 5 bits lost a quarter more of Gemma 3 270M,
// those of 6.5 twice as much.)
//
// Errors: InvalidArgument if even the smallest formats take more, or if a row
// is not finite.
absl::StatusOr<std::vector<Format>> PlanFormats(
    absl::Span<const BoundWeight> weights, double bits,
    absl::Span<const Format> ladder, Workers& workers);

}  // namespace gemma

#endif  // GEMMA_SRC_QUANTIZE_PLAN_FORMATS_H_
