// Attention of one query head over a cache.
#include "ops/ops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/attend.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target.h.
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace gemma {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class DF>
HWY_INLINE hn::Vec<DF> LoadCache(DF df, const float* from, size_t count) {
  return hn::LoadN(df, from, count);
}

template <class DF>
HWY_INLINE hn::Vec<DF> LoadCache(DF df, const hwy::bfloat16_t* from,
                                 size_t count) {
  const hn::Rebind<hwy::bfloat16_t, DF> d16;
  return hn::PromoteTo(df, hn::LoadN(d16, from, count));
}

// scores[i] = q . keys[i] for consecutive slots.
template <class T>
void DotKeys(const float* HWY_RESTRICT q, size_t head_dim,
             const T* HWY_RESTRICT keys, size_t num_keys,
             float* HWY_RESTRICT scores) {
  const hn::ScalableTag<float> df;
  const size_t N = hn::Lanes(df);
  for (size_t key = 0; key < num_keys; ++key) {
    auto sum = hn::Zero(df);
    for (size_t i = 0; i < head_dim; i += N) {
      sum = hn::MulAdd(hn::LoadN(df, q + i, head_dim - i),
                       LoadCache(df, keys + i, head_dim - i), sum);
    }
    scores[key] = hn::ReduceSum(df, sum);
    keys += head_dim;
  }
}

// out[d] += sum over keys of weights[key] * values[key][d].
template <class T>
void AddValues(const float* HWY_RESTRICT weights, size_t num_keys,
               const T* HWY_RESTRICT values, size_t head_dim,
               float* HWY_RESTRICT out) {
  const hn::ScalableTag<float> df;
  const size_t N = hn::Lanes(df);
  // A cache line of values at a time: as many sums as stay in registers.
  constexpr size_t kVectors = 4;
  size_t i = 0;
  for (; i + kVectors * N <= head_dim; i += kVectors * N) {
    auto s0 = hn::LoadU(df, out + i);
    auto s1 = hn::LoadU(df, out + i + N);
    auto s2 = hn::LoadU(df, out + i + 2 * N);
    auto s3 = hn::LoadU(df, out + i + 3 * N);
    const T* HWY_RESTRICT v = values + i;
    for (size_t key = 0; key < num_keys; ++key, v += head_dim) {
      const auto w = hn::Set(df, weights[key]);
      s0 = hn::MulAdd(w, LoadCache(df, v, N), s0);
      s1 = hn::MulAdd(w, LoadCache(df, v + N, N), s1);
      s2 = hn::MulAdd(w, LoadCache(df, v + 2 * N, N), s2);
      s3 = hn::MulAdd(w, LoadCache(df, v + 3 * N, N), s3);
    }
    hn::StoreU(s0, df, out + i);
    hn::StoreU(s1, df, out + i + N);
    hn::StoreU(s2, df, out + i + 2 * N);
    hn::StoreU(s3, df, out + i + 3 * N);
  }
  for (; i < head_dim; i += N) {
    const size_t count = head_dim - i;
    auto sum = hn::LoadN(df, out + i, count);
    const T* HWY_RESTRICT v = values + i;
    for (size_t key = 0; key < num_keys; ++key, v += head_dim) {
      sum = hn::MulAdd(hn::Set(df, weights[key]), LoadCache(df, v, count), sum);
    }
    hn::StoreN(sum, df, out + i, count);
  }
}

// Replaces scores by exp(soft_cap(scale * score) - largest) and returns their
// sum.
float SoftmaxWeights(float scale, float soft_cap, size_t size,
                     float* HWY_RESTRICT scores) {
  const hn::ScalableTag<float> df;
  const size_t N = hn::Lanes(df);
  const auto lowest = hn::Set(df, hwy::LowestValue<float>());
  auto largest = lowest;
  for (size_t i = 0; i < size; i += N) {
    auto s = hn::Mul(hn::LoadN(df, scores + i, size - i), hn::Set(df, scale));
    if (soft_cap > 0.0f) {
      const auto inverse = hn::Set(df, 1.0f / soft_cap);
      s = hn::Mul(hn::Set(df, soft_cap), hn::Tanh(df, hn::Mul(s, inverse)));
    }
    const auto inside = hn::FirstN(df, size - i);
    largest = hn::Max(largest, hn::IfThenElse(inside, s, lowest));
    hn::StoreN(s, df, scores + i, size - i);
  }
  const auto max = hn::Set(df, hn::ReduceMax(df, largest));
  auto sum = hn::Zero(df);
  for (size_t i = 0; i < size; i += N) {
    const auto s = hn::LoadN(df, scores + i, size - i);
    const auto e = hn::IfThenElseZero(hn::FirstN(df, size - i),
                                      hn::Exp(df, hn::Sub(s, max)));
    sum = hn::Add(sum, e);
    hn::StoreN(e, df, scores + i, size - i);
  }
  return hn::ReduceSum(df, sum);
}

template <class T>
void AttendTyped(const AttendJob& job) {
  const size_t head_dim = job.q.size();
  const T* keys = static_cast<const T*>(job.cache.keys);
  const T* values = static_cast<const T*>(job.cache.values);
  const size_t num_keys = job.end - job.begin;
  // The ring's positions in order: from the first slot to the ring's end, then
  // from its start.
  const size_t slot = job.begin % job.cache.num_slots;
  const size_t head = HWY_MIN(num_keys, job.cache.num_slots - slot);
  float* scores = job.scores.data();

  DotKeys(job.q.data(), head_dim, keys + slot * head_dim, head, scores);
  DotKeys(job.q.data(), head_dim, keys, num_keys - head, scores + head);
  const float sum =
      SoftmaxWeights(job.query_scale, job.soft_cap, num_keys, scores);
  float* out = job.out.data();
  for (size_t i = 0; i < head_dim; ++i) out[i] = 0.0f;
  AddValues(scores, head, values + slot * head_dim, head_dim, out);
  AddValues(scores + head, num_keys - head, values, head_dim, out);
  const float inverse = 1.0f / sum;
  for (size_t i = 0; i < head_dim; ++i) out[i] *= inverse;
}

void AttendHead(const AttendJob& job) {
  switch (job.cache.type) {
    case CacheType::kF32:
      return AttendTyped<float>(job);
    case CacheType::kBF16:
      return AttendTyped<hwy::bfloat16_t>(job);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace gemma
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gemma {
HWY_EXPORT(AttendHead);

void Attend(const AttendJob& job) {
  HWY_ASSERT(job.begin < job.end && job.q.size() == job.out.size());
  HWY_ASSERT(job.end - job.begin <= job.cache.num_slots);
  HWY_ASSERT(job.scores.size() >= job.end - job.begin);
  HWY_DYNAMIC_DISPATCH(AttendHead)(job);
}

void StoreCache(std::span<const float> from, CacheType type, void* to) {
  if (type == CacheType::kF32) {
    hwy::CopyBytes(from.data(), to, from.size_bytes());
    return;
  }
  auto* values = static_cast<hwy::bfloat16_t*>(to);
  for (size_t i = 0; i < from.size(); ++i) {
    values[i] = hwy::BF16FromF32(from[i]);
  }
}

}  // namespace gemma
#endif  // HWY_ONCE
