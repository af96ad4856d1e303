#include "ops/products/bf16_tiles.h"
#include "ops/products/tile_config.h"

// Not on Windows, where the command does not ask for tiles, and where g++ 12
// takes the stride of a tile for a number of 32 bits.
#if defined(__x86_64__) && !defined(_WIN32)

#include <immintrin.h>

namespace gemma::internal {
namespace {

constexpr size_t kSumsStride = 32 * sizeof(float);

}  // namespace

// Tiles 0..3 hold sums, 4 and 5 rows of x, 6 and 7 panels of w: four products
// for four loads.
__attribute__((target("amx-tile,amx-bf16"))) void AmxTiles(const Bf16Job& job) {
  static constexpr TileConfig kConfig;
  _tile_loadconfig(&kConfig);
  const size_t x_bytes = job.x_stride * sizeof(uint16_t);
  for (size_t row = 0; row < job.x_rows; row += 2 * kBf16TileRows) {
    float* top = job.sums + row * 32;
    float* bottom = top + kBf16TileRows * 32;
    if (job.first) {
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
    } else {
      _tile_loadd(0, top, kSumsStride);
      _tile_loadd(1, top + 16, kSumsStride);
      _tile_loadd(2, bottom, kSumsStride);
      _tile_loadd(3, bottom + 16, kSumsStride);
    }
    const uint16_t* x = job.x + row * job.x_stride;
    for (size_t col = 0; col < job.cols; col += kBf16TileCols) {
      _tile_loadd(4, x + col, x_bytes);
      _tile_loadd(6, job.w[0] + col * 16, 64);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(7, job.w[1] + col * 16, 64);
      _tile_dpbf16ps(1, 4, 7);
      _tile_loadd(5, x + kBf16TileRows * job.x_stride + col, x_bytes);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, top, kSumsStride);
    _tile_stored(1, top + 16, kSumsStride);
    _tile_stored(2, bottom, kSumsStride);
    _tile_stored(3, bottom + 16, kSumsStride);
  }
  _tile_release();
}

}  // namespace gemma::internal

#else

namespace gemma::internal {

void AmxTiles(const Bf16Job&) {}

}  // namespace gemma::internal

#endif
