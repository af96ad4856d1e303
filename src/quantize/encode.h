// Turns weights of one format into those of another.

#ifndef GEMMA_SRC_QUANTIZE_ENCODE_H_
#define GEMMA_SRC_QUANTIZE_ENCODE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "compression/weight_view.h"
#include "ops/workers.h"

namespace gemma {

// Rows that are encoded together are a multiple of this, but for the last of a
// matrix: that of a panel.
inline constexpr size_t kEncodeRows = kPanelRows;

// What a matrix is written as: rows of the format, or, if `packed`, panels.
struct Encoding {
  Format format;
  std::optional<Layout> packed;
};

// Bytes that a matrix takes.
size_t EncodedBytes(const Encoding& encoding, size_t rows, size_t cols);

// Sets `out` to the rows of `from` in `to`, whose format is theirs or
// CanQuantize. `importance`: how much each column matters, or empty. The bytes
// do not depend on the workers, nor on which rows of a matrix are encoded
// together. Returns false, and no use of `out`, if a value that changes its
// format is not finite.
bool Encode(const WeightView& from, const Encoding& to,
            absl::Span<const float> importance, Workers& workers,
            std::vector<uint8_t>& out);

}  // namespace gemma

#endif  // GEMMA_SRC_QUANTIZE_ENCODE_H_
