// Finds the first value of a vector above a bound.
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

}  // namespace HWY_NAMESPACE
}  // namespace gemma::internal
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gemma::internal {
HWY_EXPORT(FindAboveInVector);

size_t FindAbove(std::span<const float> x, size_t begin, float bound) {
  HWY_ASSERT(begin <= x.size());
  return HWY_DYNAMIC_DISPATCH(FindAboveInVector)(x.data(), x.size(), begin,
                                                 bound);
}

}  // namespace gemma::internal
#endif  // HWY_ONCE
