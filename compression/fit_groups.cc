// Each lane of a vector is a group. Sums run over a group's values in their
// order, and nothing is fused, so every CPU gives the same result.

#include "compression/fit_groups.h"

#include <algorithm>
#include <cmath>

// ---- 1. Compile part 2 once per SIMD target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "compression/fit_groups.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target.h.
#include "hwy/highway.h"

// ---- 2. Vectors.
HWY_BEFORE_NAMESPACE();
namespace gemma::internal {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::CappedTag<float, kGroupMultiple>;
using DI32 = hn::RebindToSigned<DF>;
using VF = hn::Vec<DF>;
using VI32 = hn::Vec<DI32>;

// How often the best scale chooses levels and is fitted to them again.
constexpr size_t kRefinements = 2;

// Returns 1 / scale, or 0 if the scale is 0.
HWY_INLINE VF Inverse(VF scale) {
  const auto is_zero = hn::Eq(scale, hn::Zero(DF()));
  return hn::IfThenZeroElse(is_zero, hn::Div(hn::Set(DF(), 1.0f), scale));
}

// Returns the index of y in the tables of levels that are not linear.
HWY_INLINE VI32 TableIndex(const Levels& levels, VF y) {
  const DF df;
  const VF last =
      hn::Set(df, static_cast<float>(levels.nearest().size()) - 1.0f);
  const VF from_lowest = hn::Sub(y, hn::Set(df, levels.lowest()));
  const VF steps = hn::Floor(hn::Add(from_lowest, from_lowest));
  return hn::ConvertTo(DI32(), hn::Min(hn::Max(steps, hn::Zero(df)), last));
}

// Returns the level nearest to y.
template <bool kIsLinear>
HWY_INLINE VF NearestLevel(const Levels& levels, VF y) {
  const DF df;
  if constexpr (kIsLinear) {
    const VF low = hn::Set(df, levels.lowest());
    const VF high = hn::Set(df, levels.highest());
    return hn::Round(hn::Min(hn::Max(y, low), high));
  } else {
    return hn::GatherIndex(df, levels.nearest().data(), TableIndex(levels, y));
  }
}

// A fit of one vector of groups.
struct Fit {
  VF scale;
  VF gain;  // how much less its error is than that of zeros
};

template <bool kIsLinear>
HWY_INLINE Fit TryScale(const Groups& groups, const Levels& levels, size_t g,
                        VF inverse) {
  const DF df;
  VF xc = hn::Zero(df);
  VF cc = hn::Zero(df);
  for (size_t i = 0; i < groups.num_values; ++i) {
    const VF x = hn::LoadU(df, groups.x + i * groups.num_groups + g);
    const VF w = hn::LoadU(df, groups.weights + i * groups.num_groups + g);
    const VF c = NearestLevel<kIsLinear>(levels, hn::Mul(x, inverse));
    const VF wc = hn::Mul(w, c);
    xc = hn::Add(xc, hn::Mul(wc, x));
    cc = hn::Add(cc, hn::Mul(wc, c));
  }
  // If all levels are 0, xc is 0 too.
  const VF scale = hn::Mul(xc, Inverse(cc));
  return {scale, hn::Mul(scale, xc)};
}

// Keeps the better fit in `best`, and `best` if they are equal.
HWY_INLINE void KeepBetter(const Fit& fit, Fit& best) {
  const auto is_better = hn::Gt(fit.gain, best.gain);
  best.scale = hn::IfThenElse(is_better, fit.scale, best.scale);
  best.gain = hn::IfThenElse(is_better, fit.gain, best.gain);
}

template <bool kIsLinear>
void FitAll(const Groups& groups, const Levels& levels, float* scales) {
  const DF df;
  const bool is_symmetric = levels.lowest() == -levels.highest();
  const Levels::Trials& trials = levels.trials;
  const float step =
      (trials.last - trials.first) / static_cast<float>(trials.count - 1);
  for (size_t g = 0; g < groups.num_groups; g += hn::Lanes(df)) {
    Fit best = {hn::Zero(df), hn::Zero(df)};
    for (int i = 0; i < trials.count; ++i) {
      const float t = trials.first + step * static_cast<float>(i);
      const VF inverse = hn::Set(df, levels.lowest() * t);
      KeepBetter(TryScale<kIsLinear>(groups, levels, g, inverse), best);
      if (is_symmetric) continue;
      KeepBetter(TryScale<kIsLinear>(groups, levels, g, hn::Neg(inverse)),
                 best);
    }
    for (size_t i = 0; i < kRefinements; ++i) {
      const VF inverse = Inverse(best.scale);
      KeepBetter(TryScale<kIsLinear>(groups, levels, g, inverse), best);
    }
    hn::StoreU(best.scale, df, scales + g);
  }
}

void FitScalesOnTarget(const Groups& groups, const Levels& levels,
                       float* HWY_RESTRICT scales) {
  if (levels.is_linear()) return FitAll<true>(groups, levels, scales);
  FitAll<false>(groups, levels, scales);
}

template <bool kIsLinear>
void ErrorsOfAll(const Groups& groups, const Levels& levels,
                 const float* HWY_RESTRICT scales, float* HWY_RESTRICT errors) {
  const DF df;
  for (size_t g = 0; g < groups.num_groups; g += hn::Lanes(df)) {
    const VF scale = hn::LoadU(df, scales + g);
    const VF inverse = Inverse(scale);
    VF sum = hn::Zero(df);
    for (size_t i = 0; i < groups.num_values; ++i) {
      const VF x = hn::LoadU(df, groups.x + i * groups.num_groups + g);
      const VF w = hn::LoadU(df, groups.weights + i * groups.num_groups + g);
      const VF c = NearestLevel<kIsLinear>(levels, hn::Mul(x, inverse));
      const VF error = hn::Sub(x, hn::Mul(scale, c));
      sum = hn::Add(sum, hn::Mul(w, hn::Mul(error, error)));
    }
    hn::StoreU(sum, df, errors + g);
  }
}

void ErrorsOnTarget(const Groups& groups, const Levels& levels,
                    const float* HWY_RESTRICT scales,
                    float* HWY_RESTRICT errors) {
  if (levels.is_linear()) {
    return ErrorsOfAll<true>(groups, levels, scales, errors);
  }
  ErrorsOfAll<false>(groups, levels, scales, errors);
}

void CodesOnTarget(const Groups& groups, const Levels& levels,
                   const float* HWY_RESTRICT scales,
                   uint8_t* HWY_RESTRICT codes) {
  const DF df;
  const DI32 di32;
  const hn::Rebind<uint8_t, DF> d8;
  for (size_t g = 0; g < groups.num_groups; g += hn::Lanes(df)) {
    const VF inverse = Inverse(hn::LoadU(df, scales + g));
    for (size_t i = 0; i < groups.num_values; ++i) {
      const size_t at = i * groups.num_groups + g;
      const VF y = hn::Mul(hn::LoadU(df, groups.x + at), inverse);
      const VI32 code =
          levels.is_linear()
              ? hn::Add(hn::ConvertTo(di32, NearestLevel<true>(levels, y)),
                        hn::Set(di32, levels.zero()))
              : hn::GatherIndex(di32, levels.codes().data(),
                                TableIndex(levels, y));
      hn::StoreU(hn::DemoteTo(d8, code), d8, codes + at);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace gemma::internal
HWY_AFTER_NAMESPACE();

// ---- 3. Dispatch.
#if HWY_ONCE
namespace gemma::internal {
HWY_EXPORT(FitScalesOnTarget);
HWY_EXPORT(ErrorsOnTarget);
HWY_EXPORT(CodesOnTarget);

Levels::Levels(int lowest, int highest, int zero)
    : lowest_(static_cast<float>(lowest)),
      highest_(static_cast<float>(highest)),
      zero_(zero) {}

Levels::Levels(std::span<const int8_t> levels)
    : lowest_(levels.front()), highest_(levels.back()), zero_(0) {
  // The nearest level changes halfway between two levels: at a multiple of 1/2.
  size_t code = 0;
  for (float at = lowest_ + 0.25f; at < highest_ + 1.0f; at += 0.5f) {
    while (code + 1 < levels.size() &&
           std::abs(at - static_cast<float>(levels[code + 1])) <
               std::abs(at - static_cast<float>(levels[code]))) {
      ++code;
    }
    nearest_.push_back(levels[code]);
    codes_.push_back(static_cast<int32_t>(code));
  }
}

void FitScales(const Groups& groups, const Levels& levels, float* scales) {
  HWY_DASSERT(groups.num_groups % kGroupMultiple == 0);
  HWY_DYNAMIC_DISPATCH(FitScalesOnTarget)(groups, levels, scales);
}

void FitErrors(const Groups& groups, const Levels& levels, const float* scales,
               float* errors) {
  HWY_DYNAMIC_DISPATCH(ErrorsOnTarget)(groups, levels, scales, errors);
}

void NearestCodes(const Groups& groups, const Levels& levels,
                  const float* scales, uint8_t* codes) {
  HWY_DYNAMIC_DISPATCH(CodesOnTarget)(groups, levels, scales, codes);
}

}  // namespace gemma::internal
#endif  // HWY_ONCE
