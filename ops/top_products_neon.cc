// The scan of TopProducts on 64-bit ARM with FEAT_DotProd.

#include <limits>
#include <utility>

#include "hwy/detect_targets.h"
#include "ops/top_scan.h"

#if HWY_ARCH_ARM_A64 && (HWY_STATIC_TARGET & HWY_ALL_NEON)

#include <arm_neon.h>

#include "hwy/highway.h"
#include "ops/products/int8_dot-inl.h"
#include "ops/products/outliers-inl.h"
#include "ops/products/packed-inl.h"

HWY_PUSH_ATTRIBUTES("arch=armv8.2-a+dotprod")

namespace gemma::internal {
namespace neon_top_scan {
namespace {

#include "ops/products/neon_dots-inl.h"

constexpr float kInfinity = std::numeric_limits<float>::infinity();

HWY_INLINE uint32x4_t IsNumber(float32x4_t v) { return vceqq_f32(v, v); }

void ScanPanel(const TopScan& scan, size_t panel) {
  constexpr Layout kLayout = Layout::kU8Split;
  constexpr size_t kStride = base::kTileStride<kLayout>;
  constexpr auto kVectors = std::make_index_sequence<kCodeVectors>();
  const size_t num_tiles = scan.w.cols / kTileCols;
  const base::Ahead<kStride> ahead(kAheadBytes, num_tiles, 1,
                                   PanelBytes(kLayout, scan.w.cols));
  float32x4_t sums[kParts];
  float32x4_t errors[kParts];
  HWY_UNROLL(4)
  for (size_t v = 0; v < kParts; ++v) sums[v] = errors[v] = vdupq_n_f32(0.0f);
  const uint8_t* header = scan.w.Panel(panel);
  for (size_t t = 0; t < num_tiles; ++t, header += kStride) {
    const base::Tile tile = {header + HeaderBytes(kLayout), nullptr};
    base::Fetch<kStride>(tile.planes + ahead.Of(t));
    const Int8Block* const blocks[] = {scan.x + t};
    const int8x16_t codes[1][2] = {
        {vld1q_s8(blocks[0]->codes), vld1q_s8(blocks[0]->codes + 16)}};
    const float32x4_t middle =
        vdupq_n_f32(kMiddle / 4 * static_cast<float>(-blocks[0]->minus_sum));
    const float x_scale = 4 * blocks[0]->scale;
    HWY_UNROLL(4)
    for (size_t v = 0; v < kParts; ++v) {
      int32x4_t acc[1];
      GroupDots<kLayout, 0, base::CodeBits::kInBlock>(tile, v, blocks, codes,
                                                      acc, kVectors);
      base::VF scale;
      base::VF unused;
      base::LoadScale<kLayout>(header, 0, v, scale, unused);
      sums[v] = vfmaq_f32(sums[v], vmulq_n_f32(scale.raw, x_scale),
                          vaddq_f32(vcvtq_f32_s32(acc[0]), middle));
      errors[v] = vfmaq_n_f32(errors[v], vabsq_f32(scale.raw), scan.slack[t]);
      KeepInOrder();
    }
  }
  const base::PanelPlaces<kLayout> places(scan.w);
  for (const Outlier& outlier : scan.outliers) {
    const base::ColPlace place = places.PlaceOf(panel, outlier.at);
    for (size_t v = 0; v < kParts; ++v) {
      const base::VF values = base::UpperColValues<kLayout>(place, v, kMiddle);
      sums[v] = vfmaq_n_f32(sums[v], values.raw, outlier.value);
    }
  }
  // A row of NaN does not bound other rows, but may be a candidate itself.
  float32x4_t lower = vdupq_n_f32(-kInfinity);
  float32x4_t upper = lower;
  HWY_UNROLL(4)
  for (size_t v = 0; v < kParts; ++v) {
    const float32x4_t least = vsubq_f32(sums[v], errors[v]);
    const float32x4_t most = vaddq_f32(sums[v], errors[v]);
    lower = vmaxq_f32(
        lower, vbslq_f32(IsNumber(least), least, vdupq_n_f32(-kInfinity)));
    upper =
        vmaxq_f32(upper, vbslq_f32(vandq_u32(IsNumber(least), IsNumber(most)),
                                   most, vdupq_n_f32(kInfinity)));
  }
  scan.lower[panel] = vmaxvq_f32(lower);
  scan.upper[panel] = vmaxvq_f32(upper);
}

}  // namespace
}  // namespace neon_top_scan

void NeonTopScan(const TopScan& scan, size_t begin, size_t end) {
  for (size_t panel = begin; panel < end; ++panel) {
    neon_top_scan::ScanPanel(scan, panel);
  }
}

}  // namespace gemma::internal

HWY_POP_ATTRIBUTES

#else

namespace gemma::internal {

void NeonTopScan(const TopScan&, size_t, size_t) {}

}  // namespace gemma::internal

#endif
