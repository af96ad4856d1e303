// Adds vectors.
#include "ops/ops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/add.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target.h.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace gemma::internal {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void AddVector(const float* HWY_RESTRICT y, size_t size,
               float* HWY_RESTRICT x) {
  const hn::ScalableTag<float> df;
  for (size_t i = 0; i < size; i += hn::Lanes(df)) {
    const auto sum =
        hn::Add(hn::LoadN(df, x + i, size - i), hn::LoadN(df, y + i, size - i));
    hn::StoreN(sum, df, x + i, size - i);
  }
}

void AddScaledVector(float factor, const float* HWY_RESTRICT y, size_t size,
                     float* HWY_RESTRICT x) {
  const hn::ScalableTag<float> df;
  const auto factors = hn::Set(df, factor);
  for (size_t i = 0; i < size; i += hn::Lanes(df)) {
    const auto sum = hn::MulAdd(factors, hn::LoadN(df, y + i, size - i),
                                hn::LoadN(df, x + i, size - i));
    hn::StoreN(sum, df, x + i, size - i);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace gemma::internal
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gemma::internal {
HWY_EXPORT(AddVector);
HWY_EXPORT(AddScaledVector);

void AddTo(std::span<const float> y, std::span<float> x) {
  HWY_ASSERT(x.size() == y.size());
  HWY_DYNAMIC_DISPATCH(AddVector)(y.data(), y.size(), x.data());
}

void AddScaledTo(float factor, std::span<const float> y, std::span<float> x) {
  HWY_ASSERT(x.size() == y.size());
  HWY_DYNAMIC_DISPATCH(AddScaledVector)(factor, y.data(), y.size(), x.data());
}

}  // namespace gemma::internal
#endif  // HWY_ONCE
