// Matrix products of bfloat16 with float32 sums, on CPUs that have instructions
// for them.

#ifndef GEMMA_OPS_PRODUCTS_BF16_TILES_H_
#define GEMMA_OPS_PRODUCTS_BF16_TILES_H_

#include <cstddef>
#include <cstdint>

namespace gemma::internal {

// The rows of x in a tile, and the columns of x and w. Products take two tiles
// of rows at a time.
inline constexpr size_t kBf16TileRows = 16;
inline constexpr size_t kBf16TileCols = 32;
// The rows of x that Avx512Bf16Tiles takes at a time: their sums with two
// panels take half of the registers.
inline constexpr size_t kAvx512Bf16Rows = 8;

// Where sums go after the last columns.
struct Bf16Out {
  float* data;  // [rows, cols], rows `stride` apart
  size_t stride;
  size_t rows;
  size_t cols;        // 1 to 32
  const float* bias;  // [cols], or null
};

// sums += x w^T, columns in ascending order. Pointers and strides count
// bfloat16.
struct Bf16Job {
  const uint16_t* x;  // [x_rows, cols], rows x_stride apart
  size_t x_stride;
  size_t x_rows;  // a multiple of what the kernel takes
  // Two panels of 16 rows of w, `cols` columns each, packed as Layout::kBF16.
  const uint16_t* w[2];
  size_t cols;  // a multiple of kBf16TileCols
  float* sums;  // [x_rows, 32], read unless `first`
  bool first;
  // The panels of the next job, or null. Kernels may fetch `cols` columns of
  // them into the cache, even beyond the matrix.
  const uint16_t* next[2] = {};
};

// Runs a job on the tiles of x86's AMX. Needs HasAmxBf16() (ops/cpu.h).
void AmxTiles(const Bf16Job& job);

// Runs a job with the dot products of x86's AVX-512 BF16, which treat denormals
// as zeros. If `out` is not null, writes the sums plus the bias to it instead
// of job.sums. Needs HasAvx512Bf16() (ops/cpu.h).
void Avx512Bf16Tiles(const Bf16Job& job, const Bf16Out* out = nullptr);

}  // namespace gemma::internal

#endif  // GEMMA_OPS_PRODUCTS_BF16_TILES_H_
