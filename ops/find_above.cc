// Finds the first value of a vector above a bound, and whether there are values
// that are too large for any.
#include "ops/ops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/find_above.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target.h.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace gemma::internal {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

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

#if HWY_ONCE
namespace gemma::internal {
HWY_EXPORT(FindAboveInVector);
HWY_EXPORT(AllBelowInfinityInVector);

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
