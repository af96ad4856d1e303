// Kernels on the vectors of one row: norms, positions, gates, caps, recurrences
// and sums. They are compiled together, because reading Highway's headers for
// each target takes longer than compiling any of them.

#include <cmath>

#include "ops/ops.h"

// ---- 1. Compile part 2 once per SIMD target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/elementwise.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target.h.
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

// ---- 2. Vectors, no threads.
HWY_BEFORE_NAMESPACE();
namespace gemma::internal {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// A vector of a row that lies in it as a whole, and the lanes of one that do.
// Masks cost more than the rest of most loops, above all to store on AVX2.
struct WholeVector {
  template <class DF>
  HWY_INLINE hn::Vec<DF> Load(DF df, const float* from) const {
    return hn::LoadU(df, from);
  }
  template <class DF>
  HWY_INLINE void Store(hn::Vec<DF> v, DF df, float* to) const {
    hn::StoreU(v, df, to);
  }
};
struct LastVector {
  template <class DF>
  HWY_INLINE hn::Vec<DF> Load(DF df, const float* from) const {
    return hn::LoadN(df, from, count);  // zero beyond the row
  }
  template <class DF>
  HWY_INLINE void Store(hn::Vec<DF> v, DF df, float* to) const {
    hn::StoreN(v, df, to, count);
  }
  size_t count;
};

// Calls body(i, part) for the vectors of a row of `size` values, which begin at
// i. `part` loads and stores them.
template <class DF, class Body>
HWY_INLINE void ForEachVector(DF df, size_t size, Body body) {
  const size_t N = hn::Lanes(df);
  size_t i = 0;
  for (; i + N <= size; i += N) body(i, WholeVector());
  if (i < size) body(i, LastVector{size - i});
}

// ---------------------------------------------------------------------------
// Root mean square normalization (arXiv 1910.07467).

// A null weight is 1.
void RmsNormRow(const float* x, const float* HWY_RESTRICT weight, size_t size,
                float eps, float* out) {
  const hn::ScalableTag<float> df;

  auto squares = hn::Zero(df);
  ForEachVector(df, size, [&](size_t i, auto part) HWY_ATTR {
    const auto v = part.Load(df, x + i);
    squares = hn::MulAdd(v, v, squares);
  });
  const float mean = hn::ReduceSum(df, squares) / static_cast<float>(size);
  const auto scale = hn::Set(df, 1.0f / std::sqrt(mean + eps));

  ForEachVector(df, size, [&](size_t i, auto part) HWY_ATTR {
    auto v = hn::Mul(part.Load(df, x + i), scale);
    if (weight != nullptr) v = hn::Mul(v, part.Load(df, weight + i));
    part.Store(v, df, out + i);
  });
}

// ---------------------------------------------------------------------------
// Rotary position embedding (arXiv 2104.09864), halves rotated together.

void RopeHead(const float* HWY_RESTRICT cos, const float* HWY_RESTRICT sin,
              size_t half, float* HWY_RESTRICT head) {
  const hn::ScalableTag<float> df;
  ForEachVector(df, half, [&](size_t i, auto part) HWY_ATTR {
    const auto c = part.Load(df, cos + i);
    const auto s = part.Load(df, sin + i);
    const auto a = part.Load(df, head + i);
    const auto b = part.Load(df, head + half + i);
    part.Store(hn::NegMulAdd(b, s, hn::Mul(a, c)), df, head + i);
    part.Store(hn::MulAdd(a, s, hn::Mul(b, c)), df, head + half + i);
  });
}

// ---------------------------------------------------------------------------
// The gated linear unit with GELU (arXiv 2002.05202).

// 0.5 z (1 + tanh(u)), where u = sqrt(2/pi) (z + 0.044715 z^3): arXiv
// 1606.08415, section 2. That equals z / (1 + e^(-2u)), which needs fewer steps
// and, for negative z, cancels nothing.
template <class DF, class V = hn::Vec<DF>>
HWY_INLINE V TanhGelu(DF df, V z) {
  const V linear = hn::Set(df, -2 * 0.7978845608028654f);  // -2 sqrt(2 / pi)
  const V cubic = hn::Set(df, -2 * 0.7978845608028654f * 0.044715f);
  const V inner = hn::Mul(z, hn::MulAdd(cubic, hn::Mul(z, z), linear));
  // Exp is wrong above 88. Here it may stop before, where the result is below
  // 1e-36.
  const V power = hn::Exp(df, hn::Min(inner, hn::Set(df, 87.0f)));
  return hn::Div(z, hn::Add(hn::Set(df, 1.0f), power));
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
  ForEachVector(df, size, [&](size_t i, auto part) HWY_ATTR {
    const auto z = part.Load(df, gate + i);
    const auto u = part.Load(df, up + i);
    const auto g =
        kGelu == GeluForm::kTanh ? TanhGelu(df, z) : ExactGelu(df, z);
    part.Store(hn::Mul(g, u), df, gate + i);
  });
}

void GatedGeluVector(float* HWY_RESTRICT gate, const float* HWY_RESTRICT up,
                     size_t size, GeluForm gelu) {
  if (gelu == GeluForm::kTanh) {
    Gate<GeluForm::kTanh>(gate, up, size);
  } else {
    Gate<GeluForm::kExact>(gate, up, size);
  }
}

// ---------------------------------------------------------------------------
// Soft-capping of logits (arXiv 2408.00118, section 2).

void SoftCapVector(float cap, size_t size, float* HWY_RESTRICT x) {
  const hn::ScalableTag<float> df;
  const auto caps = hn::Set(df, cap);
  const auto inverse = hn::Set(df, 1.0f / cap);
  ForEachVector(df, size, [&](size_t i, auto part) HWY_ATTR {
    const auto v = hn::Mul(part.Load(df, x + i), inverse);
    // v - v is NaN if v is not finite, else 0.
    const auto capped = hn::MulAdd(caps, hn::Tanh(df, v), hn::Sub(v, v));
    part.Store(capped, df, x + i);
  });
}

// Reads x twice if it holds an infinity, and writes it only then.
void InfinityToNanVector(size_t size, float* HWY_RESTRICT x) {
  const hn::ScalableTag<float> df;
  auto sum = hn::Zero(df);
  ForEachVector(df, size, [&](size_t i, auto part) HWY_ATTR {
    const auto v = part.Load(df, x + i);
    sum = hn::Add(sum, hn::Sub(v, v));
  });
  if (hn::AllFalse(df, hn::IsNaN(sum))) return;
  ForEachVector(df, size, [&](size_t i, auto part) HWY_ATTR {
    const auto v = part.Load(df, x + i);
    part.Store(hn::Add(v, hn::Sub(v, v)), df, x + i);
  });
}

// ---------------------------------------------------------------------------
// Causal convolution over time of each channel on its own.

void Conv1dStep(const float* const* taps, MatrixView<const float> weight,
                const float* HWY_RESTRICT bias, float* HWY_RESTRICT out) {
  const hn::ScalableTag<float> df;
  ForEachVector(df, weight.cols, [&](size_t i, auto part) HWY_ATTR {
    auto sum = part.Load(df, bias + i);
    for (size_t t = 0; t < weight.rows; ++t) {
      const auto w = part.Load(df, weight.data + t * weight.stride + i);
      sum = hn::MulAdd(w, part.Load(df, taps[t] + i), sum);
    }
    part.Store(sum, df, out + i);
  });
}

// ---------------------------------------------------------------------------
// The real-gated linear recurrent unit (Griffin, arXiv 2402.19427).

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
  ForEachVector(df, size, [&](size_t i, auto part) HWY_ATTR {
    const auto load = [&](std::span<const float> from)
                          HWY_ATTR { return part.Load(df, from.data() + i); };
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
    part.Store(next, df, job.state_out.data() + i);
  });
}

// ---------------------------------------------------------------------------
// Adds vectors.

void AddVector(const float* HWY_RESTRICT y, size_t size,
               float* HWY_RESTRICT x) {
  const hn::ScalableTag<float> df;
  ForEachVector(df, size, [&](size_t i, auto part) HWY_ATTR {
    const auto sum = hn::Add(part.Load(df, x + i), part.Load(df, y + i));
    part.Store(sum, df, x + i);
  });
}

void AddScaledVector(float factor, const float* HWY_RESTRICT y, size_t size,
                     float* HWY_RESTRICT x) {
  const hn::ScalableTag<float> df;
  const auto factors = hn::Set(df, factor);
  ForEachVector(df, size, [&](size_t i, auto part) HWY_ATTR {
    const auto sum =
        hn::MulAdd(factors, part.Load(df, y + i), part.Load(df, x + i));
    part.Store(sum, df, x + i);
  });
}

// ---------------------------------------------------------------------------
// Finds the first value of a vector above a bound, and whether there are values
// that are too large for any.

size_t FindAboveInVector(const float* HWY_RESTRICT x, size_t size, size_t begin,
                         float bound) {
  const hn::ScalableTag<float> df;
  const size_t N = hn::Lanes(df);
  const auto bounds = hn::Set(df, bound);
  size_t i = begin;
  for (; i + N <= size; i += N) {
    const auto above = hn::Gt(hn::LoadU(df, x + i), bounds);
    const intptr_t found = hn::FindFirstTrue(df, above);
    if (found >= 0) return i + static_cast<size_t>(found);
  }
  while (i < size && !(x[i] > bound)) ++i;
  return i;
}

bool AllBelowInfinityInVector(const float* HWY_RESTRICT x, size_t size) {
  const hn::ScalableTag<float> df;
  const size_t N = hn::Lanes(df);
  const auto infinity = hn::Inf(df);
  size_t i = 0;
  for (; i + N <= size; i += N) {
    if (!hn::AllTrue(df, hn::Lt(hn::LoadU(df, x + i), infinity))) return false;
  }
  return i == size ||
         hn::AllTrue(df, hn::Lt(hn::LoadN(df, x + i, size - i), infinity));
}

}  // namespace HWY_NAMESPACE
}  // namespace gemma::internal
HWY_AFTER_NAMESPACE();

// ---- 3. Dispatch.
#if HWY_ONCE
namespace gemma::internal {

HWY_EXPORT(RmsNormRow);
HWY_EXPORT(RopeHead);
HWY_EXPORT(GatedGeluVector);
HWY_EXPORT(SoftCapVector);
HWY_EXPORT(InfinityToNanVector);
HWY_EXPORT(Conv1dStep);
HWY_EXPORT(RgLruStep);
HWY_EXPORT(AddVector);
HWY_EXPORT(AddScaledVector);
HWY_EXPORT(FindAboveInVector);
HWY_EXPORT(AllBelowInfinityInVector);

void RmsNorm(std::span<const float> x, std::span<const float> weight, float eps,
             std::span<float> out) {
  HWY_ASSERT(x.size() == out.size());
  HWY_ASSERT(weight.empty() || weight.size() == x.size());
  HWY_DYNAMIC_DISPATCH(RmsNormRow)
  (x.data(), weight.empty() ? nullptr : weight.data(), x.size(), eps,
   out.data());
}

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

void GatedGelu(std::span<float> gate, std::span<const float> up,
               GeluForm gelu) {
  HWY_ASSERT(gate.size() == up.size());
  HWY_DYNAMIC_DISPATCH(GatedGeluVector)
  (gate.data(), up.data(), gate.size(), gelu);
}

void SoftCap(float cap, std::span<float> x) {
  HWY_ASSERT(cap >= 0.0f);
  if (cap == 0.0f) {
    HWY_DYNAMIC_DISPATCH(InfinityToNanVector)(x.size(), x.data());
    return;
  }
  HWY_DYNAMIC_DISPATCH(SoftCapVector)(cap, x.size(), x.data());
}

void Conv1d(std::span<const float* const> taps, MatrixView<const float> weight,
            std::span<const float> bias, std::span<float> out) {
  HWY_ASSERT(taps.size() == weight.rows && bias.size() == weight.cols);
  HWY_ASSERT(out.size() == weight.cols);
  HWY_DYNAMIC_DISPATCH(Conv1dStep)
  (taps.data(), weight, bias.data(), out.data());
}

void RgLru(const RgLruJob& job) {
  const size_t size = job.x.size();
  HWY_ASSERT(job.input_gate.size() == size && job.state_out.size() == size);
  HWY_ASSERT(job.recurrent_gate.size() == size && job.state.size() == size);
  HWY_ASSERT(job.log_a_scale.size() == size);
  HWY_DYNAMIC_DISPATCH(RgLruStep)(job);
}

void AddTo(std::span<const float> y, std::span<float> x) {
  HWY_ASSERT(x.size() == y.size());
  HWY_DYNAMIC_DISPATCH(AddVector)(y.data(), y.size(), x.data());
}

void AddScaledTo(float factor, std::span<const float> y, std::span<float> x) {
  HWY_ASSERT(x.size() == y.size());
  HWY_DYNAMIC_DISPATCH(AddScaledVector)(factor, y.data(), y.size(), x.data());
}

size_t FindAbove(std::span<const float> x, size_t begin, float bound) {
  HWY_ASSERT(begin <= x.size());
  return HWY_DYNAMIC_DISPATCH(FindAboveInVector)(x.data(), x.size(), begin,
                                                 bound);
}

bool AllBelowInfinity(std::span<const float> x) {
  return HWY_DYNAMIC_DISPATCH(AllBelowInfinityInVector)(x.data(), x.size());
}

}  // namespace gemma::internal
#endif  // HWY_ONCE
