// The real-gated linear recurrent unit (Griffin, arXiv 2402.19427).
#include "ops/ops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/rg_lru.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target.h.
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace gemma::internal {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Returns NaN if x is not finite, else 0. hn::Exp hides such numbers.
template <class V>
HWY_INLINE V Poison(V x) {
  return hn::Sub(x, x);
}

template <class DF, class V = hn::Vec<DF>>
HWY_INLINE V Sigmoid(DF df, V x) {
  const V one = hn::Set(df, 1.0f);
  const V sigmoid = hn::Div(one, hn::Add(one, hn::Exp(df, hn::Neg(x))));
  return hn::Add(sigmoid, Poison(x));
}

void RgLruStep(const RgLruJob& job) {
  const hn::ScalableTag<float> df;
  const size_t size = job.x.size();
  for (size_t i = 0; i < size; i += hn::Lanes(df)) {
    const size_t count = size - i;
    const auto load = [&](std::span<const float> from) HWY_ATTR {
      return hn::LoadN(df, from.data() + i, count);
    };
    auto next = hn::Mul(Sigmoid(df, load(job.input_gate)), load(job.x));
    if (!job.first) {
      const auto log_a =
          hn::Mul(Sigmoid(df, load(job.recurrent_gate)), load(job.log_a_scale));
      // 1 - a^2 loses digits as a approaches 1; Expm1 does not.
      const auto rest = hn::Neg(hn::Expm1(df, hn::Add(log_a, log_a)));
      next = hn::MulAdd(hn::Exp(df, log_a), load(job.state),
                        hn::Mul(hn::Sqrt(rest), next));
      next = hn::Add(next, Poison(log_a));
    }
    hn::StoreN(next, df, job.state_out.data() + i, count);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace gemma::internal
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gemma::internal {
HWY_EXPORT(RgLruStep);

void RgLru(const RgLruJob& job) {
  const size_t size = job.x.size();
  HWY_ASSERT(job.input_gate.size() == size && job.state_out.size() == size);
  HWY_ASSERT(job.recurrent_gate.size() == size && job.state.size() == size);
  HWY_ASSERT(job.log_a_scale.size() == size);
  HWY_DYNAMIC_DISPATCH(RgLruStep)(job);
}

}  // namespace gemma::internal
#endif  // HWY_ONCE
