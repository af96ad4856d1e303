// The gated linear unit with GELU (arXiv 2002.05202).
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
HWY_INLINE V TanhGelu(DF df, V z) {
  const V root = hn::Set(df, 0.7978845608028654f);  // sqrt(2 / pi)
  const V cubic = hn::Set(df, 0.044715f);
  const V half_z = hn::Mul(hn::Set(df, 0.5f), z);
  const V square = hn::Mul(z, z);
  const V inner = hn::Mul(root, hn::MulAdd(hn::Mul(cubic, square), z, z));
  return hn::MulAdd(half_z, hn::Tanh(df, inner), half_z);
}

// z Phi(z), where Phi(-u) = 0.5 erfc(u / sqrt(2)) and Phi(u) = 1 - Phi(-u). For
// u >= 0, erfc(u) is e^(-u^2) times a polynomial in 1 / (1 + 0.3275911 u), with
// an error of at most 1.5e-7: Abramowitz and Stegun, formula 7.1.26.
template <class DF, class V = hn::Vec<DF>>
HWY_INLINE V ExactGelu(DF df, V z) {
  const V one = hn::Set(df, 1.0f);
  const V u = hn::Mul(hn::Abs(z), hn::Set(df, 0.7071067811865476f));
  const V t = hn::Div(one, hn::MulAdd(u, hn::Set(df, 0.3275911f), one));
  V sum = hn::Set(df, 1.061405429f);
  for (const float coefficient :
       {-1.453152027f, 1.421413741f, -0.284496736f, 0.254829592f}) {
    sum = hn::MulAdd(sum, t, hn::Set(df, coefficient));
  }
  const V power = hn::Exp(df, hn::Neg(hn::Mul(u, u)));
  const V tail = hn::Mul(hn::Mul(hn::Set(df, 0.5f), power), hn::Mul(sum, t));
  const V below = hn::Mul(z, tail);
  return hn::IfThenElse(hn::Lt(z, hn::Zero(df)), below, hn::Sub(z, below));
}

template <GeluForm kGelu>
void Gate(float* HWY_RESTRICT gate, const float* HWY_RESTRICT up, size_t size) {
  const hn::ScalableTag<float> df;
  for (size_t i = 0; i < size; i += hn::Lanes(df)) {
    const auto z = hn::LoadN(df, gate + i, size - i);
    const auto u = hn::LoadN(df, up + i, size - i);
    const auto g =
        kGelu == GeluForm::kTanh ? TanhGelu(df, z) : ExactGelu(df, z);
    hn::StoreN(hn::Mul(g, u), df, gate + i, size - i);
  }
}

void GatedGeluVector(float* HWY_RESTRICT gate, const float* HWY_RESTRICT up,
                     size_t size, GeluForm gelu) {
  if (gelu == GeluForm::kTanh) {
    Gate<GeluForm::kTanh>(gate, up, size);
  } else {
    Gate<GeluForm::kExact>(gate, up, size);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace gemma::internal
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gemma::internal {
HWY_EXPORT(GatedGeluVector);

void GatedGelu(std::span<float> gate, std::span<const float> up,
               GeluForm gelu) {
  HWY_ASSERT(gate.size() == up.size());
  HWY_DYNAMIC_DISPATCH(GatedGeluVector)
  (gate.data(), up.data(), gate.size(), gelu);
}

}  // namespace gemma::internal
#endif  // HWY_ONCE
