// Chooses the format of each weight in a written file.

#ifndef GEMMA_SRC_QUANTIZE_CHOOSE_FORMAT_H_
#define GEMMA_SRC_QUANTIZE_CHOOSE_FORMAT_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compression/format.h"
#include "gemma/quantize.h"
#include "ops/workers.h"
#include "src/model/tensors/outline.h"
#include "src/quantize/plan_formats.h"

namespace gemma::internal {

// Chooses a format for each weight. A matrix, a table of rows or the matrices
// of experts get the format that the options ask for, or keep their own format
// if that needs no more bits. All other weights become float32, except that
// matrices that are never quantized stay bfloat16, as do gates in packed files.
// InvalidArgument for a packed source that would have to be converted.
absl::StatusOr<std::vector<Format>> ChooseFormats(
    absl::Span<const BoundWeight> weights, const QuantizeOptions& options,
    Workers& workers);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_QUANTIZE_CHOOSE_FORMAT_H_
