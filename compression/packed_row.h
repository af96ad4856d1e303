// Reads rows of packed matrices.

#ifndef GEMMA_COMPRESSION_PACKED_ROW_H_
#define GEMMA_COMPRESSION_PACKED_ROW_H_

#include <cstddef>

#include "compression/weight_view.h"

namespace gemma::internal {

// Decodes row `row` of w into out[0..w.cols): the values that DecodeRow gives
// for the matrix before packing, except for the signs of zeros.
void DecodePackedRow(const PackedView& w, size_t row, float* out);

}  // namespace gemma::internal

#endif  // GEMMA_COMPRESSION_PACKED_ROW_H_
