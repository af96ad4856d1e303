#include "hwy/base.h"
#include "ops/products/int8_tiles.h"
#include "ops/products/tile_config.h"

// Not on Windows, where the command does not ask for tiles, and where g++ 12
// takes the stride of a tile for a number of 32 bits.
#if defined(__x86_64__) && !defined(_WIN32)

#include <immintrin.h>

HWY_PUSH_ATTRIBUTES("avx512f,amx-tile,amx-int8")

namespace gemma::internal {
namespace amx_int8 {

static_assert(kInt8TileRows == 16 && kPanelRows == 16);

// Two sets of tiles take turns: 0 and 1 hold sums, 2 and 3 rows of x, 4 and 5
// columns of w.
constexpr TileConfig ConfigFor(size_t group_cols) {
  TileConfig config = {};
  for (size_t set = 0; set < 2; ++set) {
    config.SetTile(2 + set, kInt8TileRows, group_cols);
    config.SetTile(4 + set, group_cols / 4, kCodeVectorBytes);
  }
  return config;
}
constexpr TileConfig kConfigOf32 = ConfigFor(32);
constexpr TileConfig kConfigOf16 = ConfigFor(16);

// The products that are computed before the first of them is scaled: from the
// load of a tile to its sums in the cache, a product takes longer than the
// others.
constexpr size_t kAhead = 4;

using Sums = int32_t[kInt8TileRows * kPanelRows];

// Writes the products of the codes of 16 rows of x with a group of columns.
HWY_INLINE void Multiply(size_t set, const int8_t* x, const uint8_t* w,
                         Sums& dots) {
  if (set == 0) {
    _tile_loadd(2, x, kTileCols);
    _tile_loadd(4, w, kCodeVectorBytes);
    _tile_zero(0);
    _tile_dpbssd(0, 2, 4);
    _tile_stored(0, dots, kPanelRows * sizeof(int32_t));
  } else {
    _tile_loadd(3, x, kTileCols);
    _tile_loadd(5, w, kCodeVectorBytes);
    _tile_zero(1);
    _tile_dpbssd(1, 3, 5);
    _tile_stored(1, dots, kPanelRows * sizeof(int32_t));
  }
}

// Adds the scaled products of 16 rows of x to their sums.
template <bool kHasOffset>
HWY_INLINE void AddScaled(const Sums& dots, const float* w_scales,
                          const float* w_offsets, const float* x_scales,
                          const float* x_sums, __m512 (&sums)[kInt8TileRows]) {
  const __m512 scale = _mm512_load_ps(w_scales);
  [[maybe_unused]] __m512 offset;
  if constexpr (kHasOffset) offset = _mm512_load_ps(w_offsets);
  HWY_UNROLL(16)
  for (size_t r = 0; r < kInt8TileRows; ++r) {
    const __m512 dot =
        _mm512_cvtepi32_ps(_mm512_load_si512(dots + r * kPanelRows));
    sums[r] = _mm512_fmadd_ps(_mm512_mul_ps(scale, _mm512_set1_ps(x_scales[r])),
                              dot, sums[r]);
    if constexpr (kHasOffset) {
      sums[r] = _mm512_fmadd_ps(offset, _mm512_set1_ps(x_sums[r]), sums[r]);
    }
  }
}

template <size_t kGroups, bool kHasOffset>
HWY_NOINLINE void TileOfRows(const Int8TilesJob& job, size_t tile) {
  constexpr size_t kCols = kTileCols / kGroups;
  const size_t num_blocks = job.w->num_blocks;
  const size_t num_groups = num_blocks * kGroups;
  const uint8_t* w = job.w->codes;
  const int8_t* x = job.x + tile * num_blocks * kInt8TileRows * kTileCols;
  const float* x_scales = job.x_scales + tile * num_blocks * kInt8TileRows;
  const float* x_sums = job.x_sums + tile * num_groups * kInt8TileRows;
  float* out = job.sums + tile * kInt8TileRows * kPanelRows;
  alignas(64) Sums dots[kAhead];
  __m512 sums[kInt8TileRows];
  HWY_UNROLL(16)
  for (size_t r = 0; r < kInt8TileRows; ++r) {
    sums[r] = _mm512_load_ps(out + r * kPanelRows);
  }
  // Scales group next - kAhead, whose sums make room for those of group next.
  for (size_t next = 0; next < num_groups + kAhead; ++next) {
    if (next >= kAhead) {
      const size_t group = next - kAhead;
      AddScaled<kHasOffset>(dots[group % kAhead],
                            job.w->scales + group * kPanelRows,
                            job.w->offsets + group * kPanelRows,
                            x_scales + group / kGroups * kInt8TileRows,
                            x_sums + group * kInt8TileRows, sums);
    }
    if (next < num_groups) {
      Multiply(next % 2,
               x + next / kGroups * kInt8TileRows * kTileCols +
                   next % kGroups * kCols,
               w + next * kCols * kPanelRows, dots[next % kAhead]);
    }
  }
  HWY_UNROLL(16)
  for (size_t r = 0; r < kInt8TileRows; ++r) {
    _mm512_store_ps(out + r * kPanelRows, sums[r]);
  }
}

template <size_t kGroups, bool kHasOffset>
void AllRows(const Int8TilesJob& job) {
  for (size_t tile = 0; tile < job.num_tiles; ++tile) {
    TileOfRows<kGroups, kHasOffset>(job, tile);
  }
}

bool HasTwoGroups(Layout layout) { return TraitsOf(layout).scale_cols == 16; }

}  // namespace amx_int8

void AmxInt8Begin(Layout layout) {
  if (amx_int8::HasTwoGroups(layout)) {
    _tile_loadconfig(&amx_int8::kConfigOf16);
  } else {
    _tile_loadconfig(&amx_int8::kConfigOf32);
  }
}

void AmxInt8Tiles(const Int8TilesJob& job) {
  const bool has_offset = TraitsOf(job.layout).has_offset;
  if (amx_int8::HasTwoGroups(job.layout)) {
    return has_offset ? amx_int8::AllRows<2, true>(job)
                      : amx_int8::AllRows<2, false>(job);
  }
  return has_offset ? amx_int8::AllRows<1, true>(job)
                    : amx_int8::AllRows<1, false>(job);
}

void AmxInt8End() { _tile_release(); }

}  // namespace gemma::internal

HWY_POP_ATTRIBUTES

#else

namespace gemma::internal {

void AmxInt8Begin(Layout) {}
void AmxInt8Tiles(const Int8TilesJob&) {}
void AmxInt8End() {}

}  // namespace gemma::internal

#endif
