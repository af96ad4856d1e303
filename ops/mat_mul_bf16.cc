// The kernels of MatMul for tiles of bfloat16: they round x, decode panels of w
// and loop over both. mat_mul_amx_bf16.cc and mat_mul_avx512_bf16.cc multiply.

#include "ops/mat_mul_kernels.h"

// ---- 1. Compile part 2 once per SIMD target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/mat_mul_bf16.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target.h.
#include "hwy/highway.h"
#include "ops/bf16_tiles.h"
#include "ops/cpu.h"
#include "ops/packed-inl.h"

#ifndef GEMMA_OPS_MAT_MUL_BF16_ONCE
#define GEMMA_OPS_MAT_MUL_BF16_ONCE
namespace gemma::internal {

// The columns at a time: two panels of them take 32 KiB.
inline constexpr size_t kBf16Cols = 512;
// The rows of x at a time: their sums take 64 KiB.
inline constexpr size_t kBf16Rows = 512;

}  // namespace gemma::internal
#endif  // GEMMA_OPS_MAT_MUL_BF16_ONCE

// ---- 2. Vectors, no threads.
HWY_BEFORE_NAMESPACE();
namespace gemma::internal {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void RoundOnTarget(std::span<const float> x, uint16_t* HWY_RESTRICT out) {
  const hn::ScalableTag<float> df;
  const hn::Rebind<hwy::bfloat16_t, decltype(df)> d16;
  auto* to = reinterpret_cast<hwy::bfloat16_t*>(out);
  const size_t N = hn::Lanes(df);
  for (size_t i = 0; i < x.size(); i += N) {
    const auto v = hn::LoadN(df, x.data() + i, x.size() - i);
    hn::StoreN(hn::DemoteTo(d16, v), d16, to + i, x.size() - i);
  }
}

// Returns the values of two columns, rounded to nearest (ties away from zero),
// in the order of Layout::kBF16.
HWY_INLINE VU32 RoundPair(VF even, VF odd) {
  const DU32 d;
  const VU32 half = hn::Set(d, 0x8000u);
  return hn::OrAnd(hn::ShiftRight<16>(hn::Add(hn::BitCast(d, even), half)),
                   hn::Add(hn::BitCast(d, odd), half), hn::Set(d, 0xFFFF0000u));
}

#if HWY_TARGET == HWY_SSE2 || HWY_TARGET == HWY_EMU128
// A CPU with tiles of bfloat16 has a better target. Only tests choose this one,
// so that it need not be fast, but compile fast.
void DecodeBf16OnTarget(const PackedView& w, size_t panel, size_t begin,
                        size_t end, uint32_t* HWY_RESTRICT out) {
  alignas(64) float values[kBf16Cols * kPanelRows];
  HWY_ASSERT(end - begin <= kBf16Cols && (end - begin) % 2 == 0);
  DecodeFloats(w, panel, begin, end, values);
  for (size_t col = 0; col < end - begin; col += 2) {
    const float* HWY_RESTRICT from = values + col * kPanelRows;
    for (size_t i = 0; i < kPanelRows; i += LanesF()) {
      hn::Store(RoundPair(hn::Load(DF(), from + i),
                          hn::Load(DF(), from + kPanelRows + i)),
                DU32(), out + col / 2 * kPanelRows + i);
    }
  }
}
#else
// Decodes columns [begin, end) of a panel.
template <Layout kLayout>
HWY_NOINLINE void DecodeBf16(const PackedView& w, size_t panel, size_t begin,
                             size_t end, uint32_t* HWY_RESTRICT out) {
  VF even[kColVectors];
  DecodeCols<kLayout>(w, panel, begin, end,
                      [&](size_t col, size_t v, VF values) GEMMA_LAMBDA {
                        if (col % 2 == 0) {
                          even[v] = values;
                        } else {
                          hn::Store(RoundPair(even[v], values), DU32(),
                                    out + col / 2 * kPanelRows + v * LanesF());
                        }
                      });
}

void DecodeBf16OnTarget(const PackedView& w, size_t panel, size_t begin,
                        size_t end, uint32_t* HWY_RESTRICT out) {
  switch (w.layout) {
#define GEMMA_LAYOUT_CASE(layout) \
  case Layout::layout:            \
    return DecodeBf16<Layout::layout>(w, panel, begin, end, out);
    GEMMA_LAYOUTS(GEMMA_LAYOUT_CASE)
#undef GEMMA_LAYOUT_CASE
  }
}
#endif

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
HWY_EXPORT(DecodeBf16OnTarget);
HWY_EXPORT(StoreOnTarget);

// Multiplies rows [first, first + count) of x with `panel` and the next panel.
// If that is `end`, uses the values of `panel` twice and drops the second sums.
void PanelPair(const MatMulJob& job, const Bf16Rows& x, size_t first,
               size_t count, size_t panel, size_t end) {
  alignas(64) float sums[kBf16Rows * 2 * kPanelRows];
  alignas(64) uint32_t decoded[2][kBf16Cols / 2 * kPanelRows];
  const size_t num_panels = HWY_MIN(size_t{2}, end - panel);
  for (size_t col = 0; col < job.w.cols; col += kBf16Cols) {
    const size_t col_end = HWY_MIN(col + kBf16Cols, job.w.cols);
    Bf16Job tiles = {x.data + first * x.stride + col, x.stride,
                     hwy::RoundUpTo(count, 2 * kBf16TileRows)};
    for (size_t p = 0; p < 2; ++p) {
      const size_t from = panel + HWY_MIN(p, num_panels - 1);
      if (job.w.layout == Layout::kBF16) {
        tiles.w[p] = reinterpret_cast<const uint16_t*>(job.w.Panel(from)) +
                     col * kPanelRows;
      } else {
        tiles.w[p] = reinterpret_cast<const uint16_t*>(decoded[p]);
        HWY_DYNAMIC_DISPATCH(DecodeBf16OnTarget)
        (job.w, from, col, col_end, decoded[p]);
      }
    }
    tiles.cols = col_end - col;
    tiles.sums = sums;
    tiles.first = col == 0;
    (HasAmxBf16() ? AmxTiles : Avx512Bf16Tiles)(tiles);
  }
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
  HWY_ASSERT(job.w.cols % kBf16TileCols == 0);
  for (size_t row = 0; row < job.out.rows; row += kBf16Rows) {
    const size_t count = HWY_MIN(kBf16Rows, job.out.rows - row);
    for (size_t panel = begin; panel < end; panel += 2) {
      PanelPair(job, x, row, count, panel, end);
    }
  }
}

}  // namespace gemma::internal
#endif  // HWY_ONCE
