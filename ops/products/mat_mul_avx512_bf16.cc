#include "ops/products/bf16_tiles.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <cstring>

namespace gemma::internal {
namespace {

// The rows of x at a time: their sums with two panels take half of the
// registers.
constexpr size_t kRows = 8;
static_assert(2 * kBf16TileRows % kRows == 0);

}  // namespace

__attribute__((target("avx512f,avx512bf16"))) void Avx512Bf16Tiles(
    const Bf16Job& job) {
  for (size_t row = 0; row < job.x_rows; row += kRows) {
    float* out = job.sums + row * 32;
    __m512 sums[kRows][2];
    for (size_t r = 0; r < kRows; ++r) {
      for (size_t p = 0; p < 2; ++p) {
        sums[r][p] = job.first ? _mm512_setzero_ps()
                               : _mm512_loadu_ps(out + r * 32 + p * 16);
      }
    }
    const uint16_t* x = job.x + row * job.x_stride;
    for (size_t col = 0; col < job.cols; col += 2) {
      const auto w0 =
          reinterpret_cast<__m512bh>(_mm512_loadu_si512(job.w[0] + col * 16));
      const auto w1 =
          reinterpret_cast<__m512bh>(_mm512_loadu_si512(job.w[1] + col * 16));
      for (size_t r = 0; r < kRows; ++r) {
        int32_t pair;
        std::memcpy(&pair, x + r * job.x_stride + col, sizeof(pair));
        const auto xs = reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
        sums[r][0] = _mm512_dpbf16_ps(sums[r][0], w0, xs);
        sums[r][1] = _mm512_dpbf16_ps(sums[r][1], w1, xs);
      }
    }
    for (size_t r = 0; r < kRows; ++r) {
      for (size_t p = 0; p < 2; ++p) {
        _mm512_storeu_ps(out + r * 32 + p * 16, sums[r][p]);
      }
    }
  }
}

}  // namespace gemma::internal

#else

namespace gemma::internal {

void Avx512Bf16Tiles(const Bf16Job&) {}

}  // namespace gemma::internal

#endif
