// Products of many rows of x with quantized panels on x86's AMX: the codes of a
// panel are unpacked to signed bytes, tiles multiply them exactly, and vectors
// scale the sums.
//
// What a core can reach at most, from public figures of Sapphire Rapids: a
// product of tiles takes 16 cycles, whatever the columns of its left operand
// (1,024 multiply-adds of bytes a cycle with 64 columns: Wikipedia's "Advanced
// Matrix Extensions"), and a cycle allows two loads and one store of 64 bytes,
// and two instructions on vectors of 64 bytes. 16 rows of x times 16 rows of w
// times 32 columns, 8,192 multiply-adds, take at least
//   16 cycles in the tiles,
//   16 to store the tile of sums,
//   24 to convert, scale and add 16 vectors (a convert, a product and a fused
//      multiply-add each), or 32 if the layout has offsets,
//   28 for loads (16 rows of x and 8 vectors of w to tiles, 16 vectors of sums,
//      16 scales of x), or 36 if the layout has offsets.
// These overlap, so that the limit is 290 multiply-adds a cycle, 228 with
// offsets, and half of either if 16 columns share a scale. Packing x and
// unpacking w take about a fifth more. Dot products of bytes (AVX-512 VNNI)
// take 64 + 24 cycles for the same, tiles of bfloat16 16 and the decoding of w.

#ifndef GEMMA_OPS_PRODUCTS_INT8_TILES_H_
#define GEMMA_OPS_PRODUCTS_INT8_TILES_H_

#include <cstddef>
#include <cstdint>

#include "ops/products/mat_mul_kernels.h"
#include "ops/products/unpacked_panels.h"

namespace gemma::internal {

// The rows of x in a tile.
inline constexpr size_t kInt8TileRows = 16;

// Adds the products of tiles of x with the columns of w to their sums.
struct Int8TilesJob {
  const UnpackedPanel* w;  // as CodeForm::kLevels
  Layout layout;
  // For each tile of kInt8TileRows rows and each block of w:
  const int8_t* x;        // [rows, kTileCols]
  const float* x_scales;  // [rows]
  // The scale times the sum of the codes, for each group of a block: [groups,
  // rows]. Not read if the layout has no offsets.
  const float* x_sums;
  size_t num_tiles;  // of x
  float* sums;       // [num_tiles, kInt8TileRows, kPanelRows]
};

// Need AMX-INT8 and AVX-512. AmxInt8Begin configures the tiles for a layout's
// groups, and AmxInt8End releases them, both for the calling thread.
void AmxInt8Begin(Layout layout);
void AmxInt8Tiles(const Int8TilesJob& job);
void AmxInt8End();

// As Int8Panels on the target AVX-512 VNNI, which also rounded x, with the same
// bits, by AmxInt8Tiles.
void AmxInt8Panels(const MatMulJob& job, const Int8Block* x, size_t begin,
                   size_t end, RowIndex index = {});

}  // namespace gemma::internal

#endif  // GEMMA_OPS_PRODUCTS_INT8_TILES_H_
