// Turns weights of one format into those of another.

#ifndef GEMMA_SRC_QUANTIZE_ENCODE_H_
#define GEMMA_SRC_QUANTIZE_ENCODE_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "compression/weight_view.h"
#include "ops/workers.h"

namespace gemma {

// Rows that are encoded together are a multiple of this, but for the last of a
// matrix: that of a panel.
inline constexpr size_t kEncodeRows = kPanelRows;

// Sets `out` to the rows of `from`, which are finite, in format `to`; of the
// same format, they keep their bytes. What is too large for it becomes the
// largest that it has. `importance`: how much each column
// matters, or empty. The bytes do not depend on the workers, nor on which rows
// of a matrix are encoded together.
// Unimplemented if nothing encodes to `to`.
absl::Status Encode(const WeightView& from, Format to,
                    absl::Span<const float> importance, Workers& workers,
                    std::vector<uint8_t>& out);

}  // namespace gemma

#endif  // GEMMA_SRC_QUANTIZE_ENCODE_H_
