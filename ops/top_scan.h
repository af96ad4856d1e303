// The scan of TopProducts: bounds of products from the upper bits of codes.

#ifndef GEMMA_OPS_TOP_SCAN_H_
#define GEMMA_OPS_TOP_SCAN_H_

#include <cstddef>
#include <span>

#include "compression/weight_view.h"
#include "ops/products/mat_mul_kernels.h"

namespace gemma::internal {

// The assumed value of the lower bits of a code, and its largest error.
inline constexpr float kMiddle = 1.5f;

// A scan of w, whose layout is kU8Split.
struct TopScan {
  const PackedView& w;
  const Int8Block* x;                 // [w.cols / kTileCols]
  std::span<const Outlier> outliers;  // of x
  // The largest error of each block's products, for a scale of 1.
  const float* slack;
  // Lower and upper bounds of the largest product of each panel.
  float* lower;
  float* upper;
};

// Writes the bounds of panels [begin, end). Needs FEAT_DotProd.
void NeonTopScan(const TopScan& scan, size_t begin, size_t end);

}  // namespace gemma::internal

#endif  // GEMMA_OPS_TOP_SCAN_H_
