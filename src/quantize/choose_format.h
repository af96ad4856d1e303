// Which format each weight of a file gets.

#ifndef GEMMA_SRC_QUANTIZE_CHOOSE_FORMAT_H_
#define GEMMA_SRC_QUANTIZE_CHOOSE_FORMAT_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compression/format.h"
#include "gemma/quantize.h"
#include "ops/workers.h"
#include "src/model/outline.h"
#include "src/quantize/plan_formats.h"

namespace gemma {

// Float32 for what is no matrix, but for gates in packed files: those of
// bfloat16 stay that. For matrices, what the options ask for, or the tensor's
// own format if that takes no more bits. InvalidArgument for a packed source
// that would have to change.
absl::StatusOr<std::vector<Format>> ChooseFormats(
    absl::Span<const BoundWeight> weights, const QuantizeOptions& options,
    Workers& workers);

}  // namespace gemma

#endif  // GEMMA_SRC_QUANTIZE_CHOOSE_FORMAT_H_
