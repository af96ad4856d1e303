// The kernels of MatMul for tiles of bfloat16: they round x and loop over
// panels of w. mat_mul_amx_bf16.cc and mat_mul_avx512_bf16.cc multiply.

#include "ops/products/mat_mul_kernels.h"

// ---- 1. Compile part 2 once per SIMD target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/products/mat_mul_bf16.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target.h.
#include "hwy/highway.h"
#include "ops/cpu.h"
#include "ops/products/bf16_tiles.h"
#include "ops/products/packed-inl.h"

#ifndef GEMMA_OPS_PRODUCTS_MAT_MUL_BF16_ONCE
#define GEMMA_OPS_PRODUCTS_MAT_MUL_BF16_ONCE
namespace gemma::internal {

// The columns at a time: two panels of them take 24 KiB.
inline constexpr size_t kBf16Cols = 384;
// The rows of x at a time: their sums take 64 KiB.
inline constexpr size_t kBf16Rows = 512;

}  // namespace gemma::internal
#endif  // GEMMA_OPS_PRODUCTS_MAT_MUL_BF16_ONCE

// ---- 2. Vectors, no threads.
HWY_BEFORE_NAMESPACE();
namespace gemma::internal {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void RoundOnTarget(std::span<const float> x, uint16_t* HWY_RESTRICT out) {
  const hn::ScalableTag<float> df;
  const hn::Repartition<hwy::bfloat16_t, decltype(df)> d16;
  const hn::Half<decltype(d16)> half;
  auto* to = reinterpret_cast<hwy::bfloat16_t*>(out);
  const size_t N = hn::Lanes(df);
  size_t i = 0;
  for (; i + 2 * N <= x.size(); i += 2 * N) {
    const auto first = hn::LoadU(df, x.data() + i);
    const auto second = hn::LoadU(df, x.data() + i + N);
    hn::StoreU(hn::OrderedDemote2To(d16, first, second), d16, to + i);
  }
  for (; i < x.size(); i += N) {
    const auto v = hn::LoadN(df, x.data() + i, x.size() - i);
    hn::StoreN(hn::DemoteTo(half, v), half, to + i, x.size() - i);
  }
}

// Writes the sums [count, 2 * kPanelRows] of one panel, plus the bias, to
// job.out.
void StoreOnTarget(const MatMulJob& job, size_t first, size_t count,
                   size_t panel, const float* HWY_RESTRICT sums) {
  const size_t begin = panel * kPanelRows;
  const float* bias = job.bias.empty() ? nullptr : job.bias.data() + begin;
  for (size_t r = 0; r < count; ++r) {
    VF row[kColVectors];
    for (size_t v = 0; v < kColVectors; ++v) {
      row[v] = hn::Load(DF(), sums + r * 2 * kPanelRows + v * LanesF());
    }
    StoreSums(row, bias, job.w.rows - begin,
              job.out.Row(first + r).data() + begin);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace gemma::internal
HWY_AFTER_NAMESPACE();

// ---- 3. Dispatch, and the loop over panels.
#if HWY_ONCE
namespace gemma::internal {
namespace {

HWY_EXPORT(RoundOnTarget);
HWY_EXPORT(StoreOnTarget);

// Multiplies rows [first, first + count) of x with `panel` and the next panel.
// If that is `end`, uses the values of `panel` twice and drops the second sums.
void PanelPair(const MatMulJob& job, const Bf16Rows& x, size_t first,
               size_t count, size_t panel, size_t end) {
  alignas(64) float sums[kBf16Rows * 2 * kPanelRows];
  const size_t num_panels = HWY_MIN(size_t{2}, end - panel);
  // Returns where column `col` of a panel begins.
  const auto values = [&](size_t i, size_t col) {
    return reinterpret_cast<const uint16_t*>(job.w.Panel(i)) + col * kPanelRows;
  };
  const size_t begin = panel * kPanelRows;
  const Bf16Out out = {job.out.Row(first).data() + begin, job.out.stride, count,
                       HWY_MIN(num_panels * kPanelRows, job.w.rows - begin),
                       job.bias.empty() ? nullptr : job.bias.data() + begin};
  for (size_t col = 0; col < job.w.cols; col += kBf16Cols) {
    const size_t col_end = HWY_MIN(col + kBf16Cols, job.w.cols);
    Bf16Job tiles = {x.data + first * x.stride + col, x.stride,
                     hwy::RoundUpTo(count, HasAmxBf16() ? 2 * kBf16TileRows
                                                        : kAvx512Bf16Rows)};
    for (size_t p = 0; p < 2; ++p) {
      const size_t last = num_panels - 1;
      tiles.w[p] = values(panel + HWY_MIN(p, last), col);
      if (col_end < job.w.cols) {
        tiles.next[p] = values(panel + HWY_MIN(p, last), col_end);
      } else if (panel + 2 < end) {
        tiles.next[p] = values(HWY_MIN(panel + 2 + p, end - 1), 0);
      }
    }
    tiles.cols = col_end - col;
    tiles.sums = sums;
    tiles.first = col == 0;
    if (HasAmxBf16()) {
      AmxTiles(tiles);
    } else {
      Avx512Bf16Tiles(tiles, col_end == job.w.cols ? &out : nullptr);
    }
  }
  if (!HasAmxBf16()) return;
  for (size_t p = 0; p < num_panels; ++p) {
    HWY_DYNAMIC_DISPATCH(StoreOnTarget)
    (job, first, count, panel + p, sums + p * kPanelRows);
  }
}

}  // namespace

void RoundRow(std::span<const float> x, uint16_t* out) {
  HWY_DYNAMIC_DISPATCH(RoundOnTarget)(x, out);
}

void Bf16Panels(const MatMulJob& job, const Bf16Rows& x, size_t begin,
                size_t end) {
  HWY_ASSERT(job.w.layout == Layout::kBF16 && job.w.cols % kBf16TileCols == 0);
  for (size_t row = 0; row < job.out.rows; row += kBf16Rows) {
    const size_t count = HWY_MIN(kBf16Rows, job.out.rows - row);
    for (size_t panel = begin; panel < end; panel += 2) {
      PanelPair(job, x, row, count, panel, end);
    }
  }
}

}  // namespace gemma::internal
#endif  // HWY_ONCE
