// The gated linear unit with GELU (arXiv 2002.05202) in its tanh form.
#include "ops/ops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/gated_gelu.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target.h.
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace gemma::internal {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// 0.5 z (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3))): arXiv 1606.08415, section 2.
template <class DF, class V = hn::Vec<DF>>
HWY_INLINE V Gelu(DF df, V z) {
  const V root = hn::Set(df, 0.7978845608028654f);  // sqrt(2 / pi)
  const V cubic = hn::Set(df, 0.044715f);
  const V half_z = hn::Mul(hn::Set(df, 0.5f), z);
  const V square = hn::Mul(z, z);
  const V inner = hn::Mul(root, hn::MulAdd(hn::Mul(cubic, square), z, z));
  return hn::MulAdd(half_z, hn::Tanh(df, inner), half_z);
}

void GatedGeluVector(float* HWY_RESTRICT gate, const float* HWY_RESTRICT up,
                     size_t size) {
  const hn::ScalableTag<float> df;
  for (size_t i = 0; i < size; i += hn::Lanes(df)) {
    const auto g = Gelu(df, hn::LoadN(df, gate + i, size - i));
    const auto u = hn::LoadN(df, up + i, size - i);
    hn::StoreN(hn::Mul(g, u), df, gate + i, size - i);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace gemma::internal
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gemma::internal {
HWY_EXPORT(GatedGeluVector);

void GatedGelu(std::span<float> gate, std::span<const float> up) {
  HWY_ASSERT(gate.size() == up.size());
  HWY_DYNAMIC_DISPATCH(GatedGeluVector)(gate.data(), up.data(), gate.size());
}

}  // namespace gemma::internal
#endif  // HWY_ONCE
