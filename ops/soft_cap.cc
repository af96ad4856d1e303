// Soft-capping of logits (arXiv 2408.00118, section 2).
#include "ops/ops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/soft_cap.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target.h.
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace gemma::internal {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void SoftCapVector(float cap, size_t size, float* HWY_RESTRICT x) {
  const hn::ScalableTag<float> df;
  const auto caps = hn::Set(df, cap);
  const auto inverse = hn::Set(df, 1.0f / cap);
  for (size_t i = 0; i < size; i += hn::Lanes(df)) {
    const auto v = hn::Mul(hn::LoadN(df, x + i, size - i), inverse);
    // v - v is NaN if v is not finite, else 0.
    const auto capped = hn::MulAdd(caps, hn::Tanh(df, v), hn::Sub(v, v));
    hn::StoreN(capped, df, x + i, size - i);
  }
}

// Reads x twice if it holds an infinity, and writes it only then.
void InfinityToNanVector(size_t size, float* HWY_RESTRICT x) {
  const hn::ScalableTag<float> df;
  const size_t N = hn::Lanes(df);
  auto sum = hn::Zero(df);
  for (size_t i = 0; i < size; i += N) {
    const auto v = hn::LoadN(df, x + i, size - i);
    sum = hn::Add(sum, hn::Sub(v, v));
  }
  if (hn::AllFalse(df, hn::IsNaN(sum))) return;
  for (size_t i = 0; i < size; i += N) {
    const auto v = hn::LoadN(df, x + i, size - i);
    hn::StoreN(hn::Add(v, hn::Sub(v, v)), df, x + i, size - i);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace gemma::internal
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gemma::internal {
HWY_EXPORT(SoftCapVector);
HWY_EXPORT(InfinityToNanVector);

void SoftCap(float cap, std::span<float> x) {
  HWY_ASSERT(cap >= 0.0f);
  if (cap == 0.0f) {
    HWY_DYNAMIC_DISPATCH(InfinityToNanVector)(x.size(), x.data());
    return;
  }
  HWY_DYNAMIC_DISPATCH(SoftCapVector)(cap, x.size(), x.data());
}

}  // namespace gemma::internal
#endif  // HWY_ONCE
