// A model in memory whose matrices are in quantized types of GGUF files.

#ifndef GEMMA_TESTS_SUPPORT_BLOCK_MODEL_H_
#define GEMMA_TESTS_SUPPORT_BLOCK_MODEL_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "tests/support/tiny_files.h"

namespace gemma::internal {

// A type of matrices in GGUF files.
struct MatrixType {
  uint32_t number = 0;
  size_t values = 0;  // of a block
  size_t bytes = 0;   // of a block
};

// Types by the size of their blocks: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, IQ4_NL, BF16
// and F16; NVFP4, MXFP4 and F64; Q2_K to Q6_K and IQ4_XS; and those whose
// values are in grids, IQ2_XXS, IQ2_XS, IQ3_XXS, IQ3_S and IQ2_S.
inline constexpr MatrixType kTypesOf32[] = {
    {2, 32, 18}, {3, 32, 20},  {6, 32, 22}, {7, 32, 24},
    {8, 32, 34}, {20, 32, 18}, {30, 1, 2},  {1, 1, 2}};
inline constexpr MatrixType kTypesOf64[] = {
    {40, 64, 36}, {39, 32, 17}, {28, 1, 8}};
inline constexpr MatrixType kTypesOf256[] = {{10, 256, 84},  {11, 256, 110},
                                             {12, 256, 144}, {13, 256, 176},
                                             {14, 256, 210}, {23, 256, 136}};
inline constexpr MatrixType kGridTypes[] = {
    {16, 256, 66}, {17, 256, 74}, {18, 256, 98}, {21, 256, 110}, {22, 256, 82}};

// Returns a model of one layer, with zeros and, for each matrix whose rows
// have `width` values, the next type of the list. `inner`: the size of the
// feed-forward layer and of the only head.
Bytes BlockModel(size_t width, size_t inner,
                 absl::Span<const MatrixType> types);

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SUPPORT_BLOCK_MODEL_H_
