// Causal convolution over time of each channel on its own.
#include "ops/ops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/conv1d.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target.h.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace gemma::internal {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void Conv1dStep(const float* const* taps, MatrixView<const float> weight,
                const float* HWY_RESTRICT bias, float* HWY_RESTRICT out) {
  const hn::ScalableTag<float> df;
  for (size_t i = 0; i < weight.cols; i += hn::Lanes(df)) {
    const size_t count = weight.cols - i;
    auto sum = hn::LoadN(df, bias + i, count);
    for (size_t t = 0; t < weight.rows; ++t) {
      const auto w = hn::LoadN(df, weight.data + t * weight.stride + i, count);
      sum = hn::MulAdd(w, hn::LoadN(df, taps[t] + i, count), sum);
    }
    hn::StoreN(sum, df, out + i, count);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace gemma::internal
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gemma::internal {
HWY_EXPORT(Conv1dStep);

void Conv1d(std::span<const float* const> taps, MatrixView<const float> weight,
            std::span<const float> bias, std::span<float> out) {
  HWY_ASSERT(taps.size() == weight.rows && bias.size() == weight.cols);
  HWY_ASSERT(out.size() == weight.cols);
  HWY_DYNAMIC_DISPATCH(Conv1dStep)
  (taps.data(), weight, bias.data(), out.data());
}

}  // namespace gemma::internal
#endif  // HWY_ONCE
