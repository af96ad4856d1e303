// Matrix products on the tiles of x86's AMX: bfloat16 inputs, float32 sums.

#ifndef GEMMA_OPS_MAT_MUL_AMX_H_
#define GEMMA_OPS_MAT_MUL_AMX_H_

#include <cstddef>
#include <cstdint>

namespace gemma {

// Rows of x and columns of both that one tile holds.
inline constexpr size_t kAmxRows = 16;
inline constexpr size_t kAmxCols = 32;

// Whether this CPU has the tiles and the system lets this process use them.
bool HasAmx();

// Inputs of AmxTiles. Pointers in units of bfloat16.
struct AmxJob {
  const uint16_t* x;  // [num_tiles * kAmxRows, cols], rows x_stride apart
  size_t x_stride;
  size_t x_rows;  // a multiple of 2 * kAmxRows
  // Two panels of 16 rows of w, `cols` columns each, packed as Layout::kBF16.
  const uint16_t* w[2];
  size_t cols;  // a multiple of kAmxCols
  float* sums;  // [x_rows, 32], read unless `first`
  bool first;
};

// sums += x w^T, columns in ascending order. Needs HasAmx().
void AmxTiles(const AmxJob& job);

}  // namespace gemma

#endif  // GEMMA_OPS_MAT_MUL_AMX_H_
