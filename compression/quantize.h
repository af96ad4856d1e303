// Encodes weights: the inverse of DecodeRow, as closely as the format allows.

#ifndef GEMMA_COMPRESSION_QUANTIZE_H_
#define GEMMA_COMPRESSION_QUANTIZE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "compression/weight_view.h"

namespace gemma::internal {

// Returns whether the format has an encoder: floats, Q8_0, Q4_0, IQ4_NL, Q6_K
// and our own formats do.
bool CanQuantize(Format format);

// Whether no value is infinite or NaN.
bool AllFinite(std::span<const float> values);

// Encodes rows [begin, end) of w in `format` (CanQuantize, w.cols a multiple of
// its blocks) into out, the place of row `begin`.
//
// For each group that shares a scale, chooses among the tried scales and codes
// those with the least sum of importance[col] * (value - encoded)^2. Values
// beyond a format's range become its largest. `importance` is [w.cols], finite
// and not negative, or empty for equal columns. The result is the same for any
// division into ranges, and on every CPU.
//
// Stops at the first row with a value that is not finite and returns it; else
// returns nothing.
std::optional<size_t> QuantizeRows(const WeightView& w, Format format,
                                   std::span<const float> importance,
                                   size_t begin, size_t end, uint8_t* out);

// As QuantizeRows for the rows of panels [begin, end), packed in `layout`, into
// `out`, the start of the packed matrix; see PackPanels.
std::optional<size_t> QuantizePanels(const WeightView& w, Format format,
                                     Layout layout,
                                     std::span<const float> importance,
                                     size_t begin, size_t end, uint8_t* out);

}  // namespace gemma::internal

#endif  // GEMMA_COMPRESSION_QUANTIZE_H_
