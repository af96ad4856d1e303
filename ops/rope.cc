// Rotary position embedding (arXiv 2104.09864), halves rotated together.
#include <cmath>

#include "ops/ops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/rope.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target.h.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace gemma::internal {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void RopeHead(const float* HWY_RESTRICT cos, const float* HWY_RESTRICT sin,
              size_t half, float* HWY_RESTRICT head) {
  const hn::ScalableTag<float> df;
  for (size_t i = 0; i < half; i += hn::Lanes(df)) {
    const size_t count = half - i;
    const auto c = hn::LoadN(df, cos + i, count);
    const auto s = hn::LoadN(df, sin + i, count);
    const auto a = hn::LoadN(df, head + i, count);
    const auto b = hn::LoadN(df, head + half + i, count);
    hn::StoreN(hn::NegMulAdd(b, s, hn::Mul(a, c)), df, head + i, count);
    hn::StoreN(hn::MulAdd(a, s, hn::Mul(b, c)), df, head + half + i, count);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace gemma::internal
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gemma::internal {
HWY_EXPORT(RopeHead);

void RopeFrequencies(float base, float factor, std::span<float> out) {
  const double rotary_dim = 2.0 * static_cast<double>(out.size());
  for (size_t i = 0; i < out.size(); ++i) {
    const double exponent = -2.0 * static_cast<double>(i) / rotary_dim;
    out[i] = static_cast<float>(std::pow(static_cast<double>(base), exponent)) /
             factor;
  }
}

void RopeAngles(size_t position, std::span<const float> frequency,
                std::span<float> cos, std::span<float> sin) {
  HWY_ASSERT(frequency.size() == cos.size() && cos.size() == sin.size());
  for (size_t i = 0; i < frequency.size(); ++i) {
    const float angle = static_cast<float>(position) * frequency[i];
    cos[i] = static_cast<float>(std::cos(static_cast<double>(angle)));
    sin[i] = static_cast<float>(std::sin(static_cast<double>(angle)));
  }
}

void Rope(std::span<const float> cos, std::span<const float> sin,
          std::span<float> head) {
  HWY_ASSERT(cos.size() == sin.size() && head.size() >= 2 * cos.size());
  HWY_DYNAMIC_DISPATCH(RopeHead)
  (cos.data(), sin.data(), cos.size(), head.data());
}

}  // namespace gemma::internal
#endif  // HWY_ONCE
