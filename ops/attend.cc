// Attention of several queries that share keys and values, a tile of kCacheTile
// positions at a time: scores, weights with a running maximum and sum, weighted
// values.
//
// Vectors hold the keys of a block for scores and the values of a head for
// weighted values. So every sum has one fixed order, independent of the other
// rows: scores add the products of a key in ascending order, weighted values
// add those of a tile's positions. Tiles and spans begin at fixed positions. A
// query's sums leave out the positions that it does not see.
//
// With few queries (decode), the cache is decoded in registers. With many
// (prefill), or from int8, it is decoded once for all queries into buffers that
// stay in the L1 cache.

#include "ops/ops.h"

// ---- 1. Compile part 2 once per SIMD target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/attend.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// After foreach_target.h.
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"
#include "ops/attend_queries-inl.h"
#include "ops/attend_task.h"
#include "ops/attend_tile-inl.h"

// ---- 2. Vectors, no threads.
HWY_BEFORE_NAMESPACE();
namespace gemma::internal {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Adds positions [tile, tile + kCacheTile) of [begin, end) to the state.
template <class T>
void AddTile(const AttendJob& job, size_t tile, size_t begin, size_t end,
             const AttendBuffers& buffers, const AttendState& state) {
  const SeenOfTile seen(job, tile, begin, end);
  if (seen.rows_begin == seen.rows_end) return;
  const size_t head_dim = job.head_dim;
  const size_t slot = tile % job.cache.num_slots;
  const size_t row = CacheRow<T>(head_dim);
  const size_t key_row = CacheRow<T>(KeyDim(job));
  const T* keys = static_cast<const T*>(job.cache.keys) + slot * key_row;
  const T* values = static_cast<const T*>(job.cache.values) + slot * row;
  const T* next_keys = static_cast<const T*>(job.cache.keys) +
                       (tile + kCacheTile) % job.cache.num_slots * key_row;
  const size_t num_queries = NumQueries(job);
  Scores(job, buffers, keys, values, seen,
         FetchAhead(values, kCacheTile * row * sizeof(T),
                    HWY_MAX(1, num_queries * kTileVectors / kSums) * head_dim));
  for (size_t i = seen.rows_begin; i < seen.rows_end; ++i) {
    for (size_t query = i * seen.group; query < (i + 1) * seen.group; ++query) {
      const bool is_first = state.sum[query] == 0.0f;
      const float rescale = Weigh(job.soft_cap, seen.rows[i],
                                  buffers.weights + query * kCacheTile,
                                  state.largest[query], state.sum[query]);
      buffers.rescale[query] = is_first ? kNoSums : rescale;
    }
  }
  WeightedValues(
      buffers, seen, num_queries, values, head_dim,
      FetchAhead(
          next_keys, kCacheTile * key_row * sizeof(T),
          HWY_MAX(1, num_queries * head_dim / kLanes / kSums) * kCacheTile),
      state);
}

// Computes the state over one span. Span 0 contains the first position that the
// first row sees.
template <class T>
void AddSpan(const AttendJob& job, size_t span, const AttendBuffers& buffers,
             const AttendState& state) {
  for (size_t i = 0; i < NumQueries(job); ++i) {
    state.largest[i] = hwy::LowestValue<float>();
    state.sum[i] = 0.0f;
  }
  const size_t size = SpanSize(job);
  const size_t first = SeenKeys(job, 0).begin;
  const size_t begin = (first / size + span) * size;
  const size_t end = HWY_MIN(begin + size, SeenKeys(job, job.q.rows - 1).end);
  for (size_t tile = HWY_MAX(begin, first / kCacheTile * kCacheTile);
       tile < end; tile += kCacheTile) {
    AddTile<T>(job, tile, begin, end, buffers, state);
  }
}

// Merges the state `from`, of later positions, into `into`.
void Merge(size_t num_queries, const AttendState& from,
           const AttendState& into) {
  const DF df;
  for (size_t query = 0; query < num_queries; ++query) {
    if (from.sum[query] == 0.0f) continue;
    float* HWY_RESTRICT to = into.values + query * into.stride;
    const float* HWY_RESTRICT more = from.values + query * from.stride;
    if (into.sum[query] == 0.0f) {
      hwy::CopyBytes(more, to, into.stride * sizeof(float));
      into.sum[query] = from.sum[query];
      into.largest[query] = from.largest[query];
      continue;
    }
    const float largest = HWY_MAX(from.largest[query], into.largest[query]);
    const VF a = hn::Exp(df, hn::Set(df, into.largest[query] - largest));
    const VF b = hn::Exp(df, hn::Set(df, from.largest[query] - largest));
    for (size_t i = 0; i < into.stride; i += kLanes) {
      const VF scaled = hn::Mul(a, hn::LoadU(df, to + i));
      hn::StoreU(hn::MulAdd(b, hn::LoadU(df, more + i), scaled), df, to + i);
    }
    into.sum[query] =
        into.sum[query] * hn::GetLane(a) + from.sum[query] * hn::GetLane(b);
    into.largest[query] = largest;
  }
}

// out = values / sum.
void Finish(const AttendJob& job, const AttendState& state) {
  const DF df;
  const size_t group = job.q.cols / job.head_dim;
  for (size_t query = 0; query < job.q.rows * group; ++query) {
    float* HWY_RESTRICT out = job.out.data + query / group * job.out.stride +
                              query % group * job.head_dim;
    const float* HWY_RESTRICT values = state.values + query * state.stride;
    const VF inverse = hn::Set(df, 1.0f / state.sum[query]);
    size_t i = 0;
    for (; i + kLanes <= job.head_dim; i += kLanes) {
      hn::StoreU(hn::Mul(hn::LoadU(df, values + i), inverse), df, out + i);
    }
    if (i < job.head_dim) {
      hn::StoreN(hn::Mul(hn::LoadU(df, values + i), inverse), df, out + i,
                 job.head_dim - i);
    }
  }
}

// Chooses the type once per span, so that no loop branches on it.
void AddSpanOfType(const AttendJob& job, size_t span,
                   const AttendBuffers& buffers, const AttendState& state) {
  switch (job.cache.type) {
    case CacheType::kF32:
      return AddSpan<float>(job, span, buffers, state);
    case CacheType::kBF16:
      return AddSpan<hwy::bfloat16_t>(job, span, buffers, state);
    case CacheType::kI8:
      return AddSpan<CacheByte>(job, span, buffers, state);
  }
}

void AttendSpanVectors(const AttendJob& job, size_t span, float* scratch,
                       float* partial) {
  const size_t num_queries = NumQueries(job);
  const AttendBuffers buffers(scratch, num_queries, job.head_dim);
  PackQueries(job, num_queries, buffers.q);
  AddSpanOfType(job, span, buffers, {partial, num_queries, job.head_dim});
}

void MergeSpansVectors(const AttendJob& job, size_t num_spans,
                       float* partials) {
  const size_t num_queries = NumQueries(job);
  const size_t size = AttendState::Size(num_queries, job.head_dim);
  const AttendState all(partials, num_queries, job.head_dim);
  for (size_t span = 1; span < num_spans; ++span) {
    Merge(num_queries, {partials + span * size, num_queries, job.head_dim},
          all);
  }
  Finish(job, all);
}

void AttendVectors(const AttendJob& job, size_t num_spans, float* scratch) {
  const size_t num_queries = NumQueries(job);
  const size_t size = AttendState::Size(num_queries, job.head_dim);
  const AttendState all(scratch, num_queries, job.head_dim);
  const AttendState one(scratch + size, num_queries, job.head_dim);
  const AttendBuffers buffers(scratch + 2 * size, num_queries, job.head_dim);
  PackQueries(job, num_queries, buffers.q);
  AddSpanOfType(job, 0, buffers, all);
  for (size_t span = 1; span < num_spans; ++span) {
    AddSpanOfType(job, span, buffers, one);
    Merge(num_queries, one, all);
  }
  Finish(job, all);
}

}  // namespace HWY_NAMESPACE
}  // namespace gemma::internal
HWY_AFTER_NAMESPACE();

// ---- 3. Checks, no vectors.
#if HWY_ONCE
namespace gemma::internal {
namespace {

HWY_EXPORT(AttendSpanVectors);
HWY_EXPORT(MergeSpansVectors);
HWY_EXPORT(AttendVectors);

void CheckJob(const AttendJob& job) {
  HWY_ASSERT(job.q.rows == job.out.rows && job.q.cols == job.out.cols);
  HWY_ASSERT(job.q.rows > 0 && job.q.cols % job.head_dim == 0);
  HWY_ASSERT(job.position % kMaxAttendRows + job.q.rows <= kMaxAttendRows);
  HWY_ASSERT(job.cache.num_rotated == 0 ||
             (job.cache.num_rotated <= HWY_MIN(kMaxRotated, job.head_dim / 2) &&
              job.key_weight.size() == job.head_dim));
  HWY_ASSERT(job.window > 0 && job.cache.num_slots % kCacheTile == 0);
  HWY_ASSERT(job.mutual.empty() ||
             (job.mutual.begin <= job.position &&
              job.position + job.q.rows <= job.mutual.end));
  HWY_ASSERT(SeenKeys(job, job.q.rows - 1).end - SeenKeys(job, 0).begin <=
             job.cache.num_slots);
}

}  // namespace

size_t AttendPartialSize(size_t num_queries, size_t head_dim) {
  return AttendState::Size(num_queries, head_dim);
}

size_t AttendScratchSize(size_t num_queries, size_t head_dim) {
  return AttendBuffers::Size(num_queries, head_dim) +
         2 * AttendState::Size(num_queries, head_dim);
}

size_t NumAttendSpans(const AttendJob& job) {
  const size_t size = SpanSize(job);
  return (SeenKeys(job, job.q.rows - 1).end - 1) / size -
         SeenKeys(job, 0).begin / size + 1;
}

void Attend(const AttendJob& job, std::span<float> scratch) {
  CheckJob(job);
  HWY_ASSERT(scratch.size() >=
             AttendScratchSize(NumQueries(job), job.head_dim));
  HWY_DYNAMIC_DISPATCH(AttendVectors)
  (job, NumAttendSpans(job), scratch.data());
}

void AttendSpan(const AttendJob& job, size_t span, std::span<float> scratch,
                std::span<float> partial) {
  CheckJob(job);
  HWY_ASSERT(span < NumAttendSpans(job));
  HWY_ASSERT(scratch.size() >=
             AttendScratchSize(NumQueries(job), job.head_dim));
  HWY_ASSERT(partial.size() >=
             AttendPartialSize(NumQueries(job), job.head_dim));
  HWY_DYNAMIC_DISPATCH(AttendSpanVectors)
  (job, span, scratch.data(), partial.data());
}

void MergeSpans(const AttendJob& job, std::span<float> partials) {
  CheckJob(job);
  const size_t num_spans = NumAttendSpans(job);
  HWY_ASSERT(partials.size() >=
             num_spans * AttendPartialSize(NumQueries(job), job.head_dim));
  HWY_DYNAMIC_DISPATCH(MergeSpansVectors)(job, num_spans, partials.data());
}

}  // namespace gemma::internal
#endif  // HWY_ONCE
