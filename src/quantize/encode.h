// Converts weights from one format to another.

#ifndef GEMMA_SRC_QUANTIZE_ENCODE_H_
#define GEMMA_SRC_QUANTIZE_ENCODE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "compression/weight_view.h"
#include "ops/workers.h"

namespace gemma::internal {

// The number of rows that are encoded together must be a multiple of this,
// except at the end of a matrix.
inline constexpr size_t kEncodeRows = kPanelRows;

// How a matrix is written: as rows of the format, or, if `packed`, as panels.
struct Encoding {
  Format format;
  std::optional<Layout> packed;
};

// Size of an encoded matrix in bytes.
size_t EncodedBytes(const Encoding& encoding, size_t rows, size_t cols);

// Sets `out` to the rows of `from`, encoded as `to`. to.format must be the
// format of `from`, or one for which CanQuantize is true. `importance`: how
// much each column matters, or empty. The bytes depend neither on the workers
// nor on which rows of a matrix are encoded together. Returns false if the
// format changes and a value is not finite; `out` is then unspecified.
bool Encode(const WeightView& from, const Encoding& to,
            absl::Span<const float> importance, Workers& workers,
            std::vector<uint8_t>& out);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_QUANTIZE_ENCODE_H_
