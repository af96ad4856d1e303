// The queries of an attention task with one tile of positions: which register
// tiles compute their scores and weighted values.

// Per-target include guard.
#if defined(GEMMA_OPS_ATTEND_QUERIES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef GEMMA_OPS_ATTEND_QUERIES_INL_H_
#undef GEMMA_OPS_ATTEND_QUERIES_INL_H_
#else
#define GEMMA_OPS_ATTEND_QUERIES_INL_H_
#endif

#include <cstddef>
#include <type_traits>

#include "hwy/highway.h"
#include "ops/attend_cache-inl.h"
#include "ops/attend_task.h"
#include "ops/attend_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace gemma::internal {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Divides queries [0, count) into register tiles and calls body(size, first)
// for each. The size is a Constant.
template <class Body>
HWY_INLINE void ForQueryTiles(size_t count, Body body) {
  size_t i = 0;
  for (; i + kMaxTileQueries <= count; i += kMaxTileQueries) {
    body(Constant<kMaxTileQueries>(), i);
  }
  if constexpr (kMaxTileQueries > 4) {
    if (i + 4 <= count) {
      body(Constant<4>(), i);
      i += 4;
    }
  }
  if (i + 2 <= count) {
    body(Constant<2>(), i);
    i += 2;
  }
  if (i < count) body(Constant<1>(), i);
}

// Divides `count` vectors into pieces of kLargest, 2 or 1 and calls
// body(size, first) for each.
template <size_t kLargest, class Body>
HWY_INLINE void ForVectors(size_t count, Body body) {
  size_t v = 0;
  for (; v + kLargest <= count; v += kLargest) body(Constant<kLargest>(), v);
  if constexpr (kLargest > 2) {
    for (; v + 2 <= count; v += 2) body(Constant<2>(), v);
  }
  for (; v < count; ++v) body(Constant<1>(), v);
}

// Writes the scaled queries so that the queries of a register tile are
// interleaved: the tile of queries [i, i + n) is at i * head_dim,
// [head_dim, n].
void PackQueries(const AttendJob& job, size_t num_queries, float* packed) {
  const size_t head_dim = job.head_dim;
  const size_t group = job.q.cols / head_dim;
  ForQueryTiles(num_queries, [&](auto size, size_t first) HWY_ATTR {
    constexpr size_t kSize = decltype(size)::value;
    const float* from[kSize];
    for (size_t i = 0; i < kSize; ++i) {
      const size_t query = first + i;
      from[i] =
          job.q.data + query / group * job.q.stride + query % group * head_dim;
    }
    float* HWY_RESTRICT to = packed + first * head_dim;
    for (size_t d = 0; d < head_dim; ++d) {
      for (size_t i = 0; i < kSize; ++i) {
        *to++ = from[i][d] * job.query_scale;
      }
    }
  });
}

// Computes the scores of packed queries with keys [begin, begin + num_keys) of
// a tile, whole blocks, which lie at `keys`. A register tile of queries leaves
// out the vectors of keys that it does not see.
template <class T>
HWY_INLINE void ScoreBlocks(const AttendBuffers& buffers, size_t num_queries,
                            const SeenOfTile& seen, const T* HWY_RESTRICT keys,
                            size_t begin, size_t num_keys, size_t head_dim,
                            FetchAhead& ahead) {
  ForQueryTiles(num_queries, [&](auto size, size_t first) HWY_ATTR {
    constexpr size_t kQueries = decltype(size)::value;
    constexpr size_t kVectors = HWY_MIN(kVectorsFor<kQueries>, kTileVectors);
    const TileRange range = seen.Any(first, kQueries);
    const size_t first_key = HWY_MAX(begin, range.begin / kLanes * kLanes);
    const size_t end_key = HWY_MIN(begin + num_keys, range.end);
    if (first_key >= end_key) return;
    const size_t first_vector = (first_key - begin) / kLanes;
    float* const scores = buffers.weights + first * kCacheTile + begin;
    ForVectors<kVectors>(hwy::DivCeil(end_key - first_key, kLanes),
                         [&](auto vectors, size_t i) HWY_ATTR {
                           const size_t v = first_vector + i;
                           ScoreTile<kQueries, decltype(vectors)::value>(
                               buffers.q + first * head_dim, keys, v, head_dim,
                               ahead, scores + v * kLanes);
                         });
  });
}

// Computes the scores of all queries with the keys of a tile that they see.
template <class T>
void Scores(const AttendJob& job, const AttendBuffers& buffers,
            const T* HWY_RESTRICT keys, const T* HWY_RESTRICT values,
            const SeenOfTile& seen, FetchAhead ahead) {
  const size_t head_dim = job.head_dim;
  const size_t num_queries = NumQueries(job);
  const bool is_split = job.cache.num_rotated != 0;
  const TileRange range = seen.Any(0, num_queries);
  const size_t end = hwy::RoundUpTo(range.end, kCacheBlock);
  size_t begin = range.begin / kCacheBlock * kCacheBlock;
  if constexpr (!std::is_same_v<T, CacheByte>) {
    if (!is_split && (std::is_same_v<T, float> || num_queries < kManyQueries)) {
      return ScoreBlocks(buffers, num_queries, seen, keys + begin * head_dim,
                         begin, end - begin, head_dim, ahead);
    }
  }
  const size_t key_row = CacheRow<T>(KeyDim(job));
  for (; begin < end; begin += kDecodedKeys) {
    const size_t count = HWY_MIN(kDecodedKeys, end - begin);
    if (is_split) {
      DecodeSplitKeys(job, keys + begin * key_row,
                      values + begin * CacheRow<T>(head_dim), count,
                      buffers.values, buffers.keys);
    } else {
      DecodeKeys(keys + begin * key_row, count, head_dim, buffers.keys);
    }
    ScoreBlocks(buffers, num_queries, seen, buffers.keys, begin, count,
                head_dim, ahead);
  }
}

// Adds the weighted values of a tile to the sums of the queries that see any.
// `values` is that of its first position.
template <class T>
HWY_INLINE void AddValues(const AttendBuffers& buffers, const SeenOfTile& seen,
                          const T* HWY_RESTRICT values, size_t key_stride,
                          size_t vector_stride, size_t num_values,
                          FetchAhead& ahead, float* HWY_RESTRICT sums,
                          size_t sums_stride) {
  const size_t num_vectors = num_values / kLanes;
  const size_t begin = seen.rows_begin * seen.group;
  ForQueryTiles(
      (seen.rows_end - seen.rows_begin) * seen.group,
      [&](auto size, size_t first) HWY_ATTR {
        constexpr size_t kQueries = decltype(size)::value;
        const size_t query = begin + first;
        const SeenByQueries<kQueries> by_queries(seen, query);
        const auto add = [&](auto vectors, auto tail, size_t v) HWY_ATTR {
          ValueTile<kQueries, decltype(vectors)::value, decltype(tail)::value>(
              buffers.weights + query * kCacheTile, buffers.rescale + query,
              by_queries, values + v * vector_stride, key_stride, vector_stride,
              num_values - v * kLanes, ahead,
              sums + query * sums_stride + v * kLanes, sums_stride);
        };
        ForVectors<HWY_MIN(kVectorsFor<kQueries>, 8)>(
            num_vectors, [&](auto vectors, size_t v)
                             HWY_ATTR { add(vectors, std::false_type(), v); });
        if (num_values % kLanes != 0) {
          add(Constant<1>(), std::true_type(), num_vectors);
        }
      });
}

// Adds the weighted values of a tile, of which some rows see a part.
template <class T>
void WeightedValues(const AttendBuffers& buffers, const SeenOfTile& seen,
                    size_t num_queries, const T* HWY_RESTRICT values,
                    size_t head_dim, FetchAhead ahead,
                    const AttendState& state) {
  if constexpr (!std::is_same_v<T, CacheByte>) {
    if (num_queries < kManyQueries) {
      return AddValues(buffers, seen, values, head_dim, kLanes, head_dim, ahead,
                       state.values, state.stride);
    }
  }
  const TileRange range = seen.Any(0, num_queries);
  constexpr size_t kVectorStride = kCacheTile * kLanes;
  for (size_t d = 0; d < head_dim; d += kMaxDecodedValues) {
    size_t num_vectors = 0;
    for (; num_vectors < kMaxDecodedValues / kLanes; ++num_vectors) {
      const size_t at = d + num_vectors * kLanes;
      if (at >= head_dim) break;
      float* to = buffers.values + num_vectors * kVectorStride;
      for (size_t key = range.begin; key < range.end; ++key) {
        hn::StoreU(
            LoadValues(values + key * CacheRow<T>(head_dim), at, head_dim),
            DF(), to + key * kLanes);
      }
    }
    AddValues(buffers, seen, buffers.values, kLanes, kVectorStride,
              num_vectors * kLanes, ahead, state.values + d, state.stride);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace gemma::internal
HWY_AFTER_NAMESPACE();

#endif  // GEMMA_OPS_ATTEND_QUERIES_INL_H_
