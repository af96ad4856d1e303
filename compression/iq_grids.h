// The grids of GGUF's IQ2 and IQ3 formats. A file stores the index of an entry,
// which holds the magnitudes of consecutive values.

#ifndef GEMMA_COMPRESSION_IQ_GRIDS_H_
#define GEMMA_COMPRESSION_IQ_GRIDS_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace gemma::internal {

// A grid of kSize entries of kValues magnitudes.
template <size_t kSize, size_t kValues>
using IQGrid = std::array<std::array<int8_t, kValues>, kSize>;

extern const IQGrid<256, 8> kIQ2XXSGrid;  // magnitudes 8, 25, 43
extern const IQGrid<512, 8> kIQ2XSGrid;
extern const IQGrid<1024, 8> kIQ2SGrid;
extern const IQGrid<256, 4> kIQ3XXSGrid;  // magnitudes 4, 12, ..., 52, 62
extern const IQGrid<512, 4> kIQ3SGrid;    // magnitudes 1, 3, ..., 15

}  // namespace gemma::internal

#endif  // GEMMA_COMPRESSION_IQ_GRIDS_H_
