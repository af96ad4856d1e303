// Chooses the format of each matrix of a model for a budget of bits.

#ifndef GEMMA_SRC_QUANTIZE_PLAN_FORMATS_H_
#define GEMMA_SRC_QUANTIZE_PLAN_FORMATS_H_

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compression/format.h"
#include "ops/workers.h"
#include "src/model/tensors/outline.h"

namespace gemma::internal {

// The formats that a weight may be written in.
struct FormatChoice {
  // This one, if it has a value.
  std::optional<Format> fixed = std::nullopt;
  // Otherwise the weight's own, or one of these, which must satisfy
  // CanQuantize.
  absl::Span<const Format> ladder = {};
};

// Chooses a format for each of `weights`, one that its choice allows. The model
// then needs at most `bits` per value, with the smallest loss that the search
// finds. Vectors and gates count as float32.
//
// The loss of a matrix in a format, or of all matrices of a layer's experts, is
// the squared error of some of its rows, relative to the squares of their
// values, times the sensitivity of the matrix's role (WeightRow::sensitivity).
// The bits go first to the matrices where they reduce the loss most. (Weighting
// errors by the importance of columns predicts the loss less well: with it,
// mixes of 5 bits lost a quarter more in Gemma 3 270M, and mixes of 6.5 bits
// twice as much.)
//
// InvalidArgument if even the smallest formats need more than `bits`, or if a
// sampled row is not finite.
absl::StatusOr<std::vector<Format>> PlanFormats(
    absl::Span<const BoundWeight> weights,
    absl::Span<const FormatChoice> choices, double bits, Workers& workers);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_QUANTIZE_PLAN_FORMATS_H_
