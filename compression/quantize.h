// Encodes weights: the inverse of DecodeRow, as well as the format can.

#ifndef GEMMA_COMPRESSION_QUANTIZE_H_
#define GEMMA_COMPRESSION_QUANTIZE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "compression/weight_view.h"

namespace gemma {

// Whether there is an encoder for the format. There is for floats, Q8_0, Q4_0,
// IQ4_NL, Q6_K and our own formats.
bool CanQuantize(Format format);

// Whether no value is infinite or NaN.
bool AllFinite(std::span<const float> values);

// Encodes rows [begin, end) of w in `format` (CanQuantize, w.cols a multiple of
// its blocks) into out, the place of row `begin`.
//
// Scales and codes are those that leave the least sum of importance[col] *
// (value - encoded)^2 for each group that shares a scale, of those tried;
// values beyond a format's range become its largest. `importance`: [w.cols],
// finite and not negative, or empty: all columns alike. The result is the same
// for any division in ranges, and on every CPU.
//
// Returns the first row that holds a value that is not finite, which ends the
// work; else nothing.
std::optional<size_t> QuantizeRows(const WeightView& w, Format format,
                                   std::span<const float> importance,
                                   size_t begin, size_t end, uint8_t* out);

// As QuantizeRows for the rows of panels [begin, end), packed for `layout`,
// into `out`, the start of the packed matrix; see PackPanels.
std::optional<size_t> QuantizePanels(const WeightView& w, Format format,
                                     Layout layout,
                                     std::span<const float> importance,
                                     size_t begin, size_t end, uint8_t* out);

}  // namespace gemma

#endif  // GEMMA_COMPRESSION_QUANTIZE_H_
