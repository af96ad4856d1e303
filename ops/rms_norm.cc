// Root mean square normalization (arXiv 1910.07467).
#include <cmath>

#include "ops/ops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/rms_norm.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target.h.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace gemma::internal {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// A null weight is 1. LoadN and StoreN handle the last partial vector. A masked
// load per step costs little here, because a row is read from the L1 cache.
void RmsNormRow(const float* x, const float* HWY_RESTRICT weight, size_t size,
                float eps, float* out) {
  const hn::ScalableTag<float> df;
  const size_t N = hn::Lanes(df);

  auto squares = hn::Zero(df);
  for (size_t i = 0; i < size; i += N) {
    const auto v = hn::LoadN(df, x + i, size - i);  // zero beyond the row
    squares = hn::MulAdd(v, v, squares);
  }
  const float mean = hn::ReduceSum(df, squares) / static_cast<float>(size);
  const auto scale = hn::Set(df, 1.0f / std::sqrt(mean + eps));

  for (size_t i = 0; i < size; i += N) {
    auto v = hn::Mul(hn::LoadN(df, x + i, size - i), scale);
    if (weight != nullptr) {
      v = hn::Mul(v, hn::LoadN(df, weight + i, size - i));
    }
    hn::StoreN(v, df, out + i, size - i);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace gemma::internal
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gemma::internal {
HWY_EXPORT(RmsNormRow);

void RmsNorm(std::span<const float> x, std::span<const float> weight, float eps,
             std::span<float> out) {
  HWY_ASSERT(x.size() == out.size());
  HWY_ASSERT(weight.empty() || weight.size() == x.size());
  HWY_DYNAMIC_DISPATCH(RmsNormRow)
  (x.data(), weight.empty() ? nullptr : weight.data(), x.size(), eps,
   out.data());
}

}  // namespace gemma::internal
#endif  // HWY_ONCE
