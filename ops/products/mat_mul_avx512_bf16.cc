#include "ops/products/bf16_tiles.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <cstring>

namespace gemma::internal {
namespace {

constexpr size_t kRows = kAvx512Bf16Rows;

// The values in a line of a cache, and a panel's lines in a tile's columns.
constexpr size_t kLineValues = 32;
constexpr size_t kTileLines = kBf16TileCols * 16 / kLineValues;

// Fetches a line into the L2 cache.
void Fetch(const uint16_t* from) {
  __builtin_prefetch(from, /*rw=*/0, /*locality=*/2);
}

// Writes sums plus the bias to columns [col, col + 16) of a row.
__attribute__((target("avx512f,avx512bf16"), always_inline)) inline void Store(
    __m512 sums, size_t row, size_t col, const Bf16Out& out) {
  if (out.cols <= col) return;
  const size_t count = out.cols - col;
  const auto mask =
      static_cast<__mmask16>(count < 16 ? (1u << count) - 1 : ~0u);
  if (out.bias != nullptr) {
    sums = _mm512_add_ps(sums, _mm512_maskz_loadu_ps(mask, out.bias + col));
  }
  _mm512_mask_storeu_ps(out.data + row * out.stride + col, mask, sums);
}

}  // namespace

__attribute__((target("avx512f,avx512bf16"))) void Avx512Bf16Tiles(
    const Bf16Job& job, const Bf16Out* out) {
  for (size_t row = 0; row < job.x_rows; row += kRows) {
    for (size_t r = row; out != nullptr && r < row + kRows; ++r) {
      for (size_t col = 0; col < out->cols; col += 16) {
        __builtin_prefetch(out->data + r * out->stride + col, /*rw=*/1);
      }
    }
    float* at = job.sums + row * 32;
    __m512 sums[kRows][2];
    for (size_t r = 0; r < kRows; ++r) {
      for (size_t p = 0; p < 2; ++p) {
        sums[r][p] = job.first ? _mm512_setzero_ps()
                               : _mm512_loadu_ps(at + r * 32 + p * 16);
      }
    }
    const uint16_t* x = job.x + row * job.x_stride;
    // The part of the next panels' lines that these rows fetch.
    const size_t begin = kTileLines * row / job.x_rows;
    const size_t end =
        job.next[0] == nullptr ? 0 : kTileLines * (row + kRows) / job.x_rows;
    for (size_t col = 0; col < job.cols; col += kBf16TileCols) {
      for (size_t line = begin; line < end; ++line) {
        for (const uint16_t* next : job.next) {
          Fetch(next + col * 16 + line * kLineValues);
        }
      }
#pragma GCC unroll 4
      for (size_t c = col; c < col + kBf16TileCols; c += 2) {
        const auto w0 =
            reinterpret_cast<__m512bh>(_mm512_loadu_si512(job.w[0] + c * 16));
        const auto w1 =
            reinterpret_cast<__m512bh>(_mm512_loadu_si512(job.w[1] + c * 16));
        for (size_t r = 0; r < kRows; ++r) {
          int32_t pair;
          std::memcpy(&pair, x + r * job.x_stride + c, sizeof(pair));
          const auto xs = reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
          sums[r][0] = _mm512_dpbf16_ps(sums[r][0], w0, xs);
          sums[r][1] = _mm512_dpbf16_ps(sums[r][1], w1, xs);
        }
      }
    }
    for (size_t r = 0; r < kRows; ++r) {
      for (size_t p = 0; p < 2; ++p) {
        if (out == nullptr) {
          _mm512_storeu_ps(at + r * 32 + p * 16, sums[r][p]);
        } else if (row + r < out->rows) {
          Store(sums[r][p], row + r, p * 16, *out);
        }
      }
    }
  }
}

}  // namespace gemma::internal

#else

namespace gemma::internal {

void Avx512Bf16Tiles(const Bf16Job&, const Bf16Out*) {}

}  // namespace gemma::internal

#endif
