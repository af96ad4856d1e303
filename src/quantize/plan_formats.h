// Chooses the format of each matrix of a model for a budget of bits.

#ifndef GEMMA_SRC_QUANTIZE_PLAN_FORMATS_H_
#define GEMMA_SRC_QUANTIZE_PLAN_FORMATS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compression/format.h"
#include "ops/workers.h"
#include "src/model/outline.h"

namespace gemma::internal {

// Chooses a format for each of `weights`: the one that its tensor has, or one
// from `ladder`, whose formats must satisfy CanQuantize. The model then needs
// at most `bits` per value, with the smallest loss that the search finds.
// Weights other than matrices keep their values and count as float32.
//
// The loss of a matrix in a format is the squared error of some of its rows,
// relative to the squares of their values, times the sensitivity of the
// matrix's role (WeightRow::sensitivity). The bits go first to the matrices
// where they reduce the loss most. (Weighting errors by the importance of
// columns predicts the loss less well: with it, mixes of 5 bits lost a quarter
// more in Gemma 3 270M, and mixes of 6.5 bits twice as much.)
//
// InvalidArgument if even the smallest formats need more than `bits`, or if a
// sampled row is not finite.
absl::StatusOr<std::vector<Format>> PlanFormats(
    absl::Span<const BoundWeight> weights, double bits,
    absl::Span<const Format> ladder, Workers& workers);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_QUANTIZE_PLAN_FORMATS_H_
