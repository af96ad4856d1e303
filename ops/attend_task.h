// The memory of an attention task, and the positions that it covers.

#ifndef GEMMA_OPS_ATTEND_TASK_H_
#define GEMMA_OPS_ATTEND_TASK_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "ops/ops.h"

namespace gemma::internal {

// The most keys decoded at once: 32 KiB for a head of 256.
inline constexpr size_t kMaxDecodedKeys = 32;
// The most values of a position decoded at once: 8 KiB for a tile.
inline constexpr size_t kMaxDecodedValues = 32;

static_assert(2 * kMaxRotated * kCacheBlock <= kCacheTile * kMaxDecodedValues,
              "DecodeSplitKeys uses AttendBuffers::values");

// A byte of CacheType::kI8, codes or scales.
struct CacheByte {
  uint8_t byte;
};

// Returns the elements of a key, or of a value, of one position.
template <class T>
constexpr size_t CacheRow(size_t head_dim) {
  return std::is_same_v<T, CacheByte> ? CacheRowBytes(CacheType::kI8, head_dim)
                                      : head_dim;
}

constexpr size_t RoundUpTo16(size_t x) { return (x + 15) / 16 * 16; }

// The partial result of each query after some tiles.
struct AttendState {
  AttendState(float* at, size_t num_queries, size_t head_dim)
      : stride(RoundUpTo16(head_dim)),
        values(at),
        largest(values + num_queries * stride),
        sum(largest + num_queries) {}
  static size_t Size(size_t num_queries, size_t head_dim) {
    return RoundUpTo16(num_queries * (RoundUpTo16(head_dim) + 2));
  }

  size_t stride;
  float* values;   // [queries, stride], sums of weight * value
  float* largest;  // [queries], the largest score
  float* sum;      // [queries], the sum of exp(score - largest); 0: no key
};

// Stands for the factor of earlier sums where this tile is the first one.
inline constexpr float kNoSums = -1.0f;

// The parts of a task's scratch. Each begins on a cache line.
struct AttendBuffers {
  AttendBuffers(float* at, size_t num_queries, size_t head_dim)
      : weights(at),
        rescale(weights + num_queries * kCacheTile),
        values(rescale + RoundUpTo16(num_queries)),
        keys(values + kCacheTile * kMaxDecodedValues),
        q(keys + kMaxDecodedKeys * head_dim) {}
  static size_t Size(size_t num_queries, size_t head_dim) {
    return num_queries * kCacheTile + RoundUpTo16(num_queries) +
           kCacheTile * kMaxDecodedValues + kMaxDecodedKeys * head_dim +
           RoundUpTo16(num_queries * head_dim);
  }

  float* weights;  // [queries, kCacheTile], scores at first
  float* rescale;  // [queries], factors for the sums of earlier tiles, kNoSums
  float* values;   // decoded; see WeightedValues
  float* keys;     // decoded, in the order of the cache
  float* q;        // [queries, head_dim], see PackQueries
};

inline size_t NumQueries(const AttendJob& job) {
  return job.q.rows * (job.q.cols / job.head_dim);
}

inline size_t KeyDim(const AttendJob& job) {
  return KeyDim(job.head_dim, job.cache.num_rotated);
}

// The positions [begin, end) that a row sees.
struct SeenKeys {
  SeenKeys(const AttendJob& job, size_t row) {
    const size_t own_end = job.position + row + 1;
    begin = own_end > job.window ? own_end - job.window : 0;
    end = own_end;
    if (!job.mutual.empty()) {
      end += std::min(job.mutual.end - own_end, job.ahead);
    }
  }
  size_t begin;
  size_t end;
};

// Positions [begin, end) of a tile, counted from its first.
struct TileRange {
  bool Contains(size_t i) const { return begin <= i && i < end; }

  size_t begin, end;
};

// The positions of a tile that each row sees. A row sees a range that begins
// and ends no earlier than that of the row before it.
struct SeenOfTile {
  // Only positions in [first, last) of [tile, tile + kCacheTile) count.
  SeenOfTile(const AttendJob& job, size_t tile, size_t first, size_t last)
      : group(job.q.cols / job.head_dim) {
    for (size_t row = 0; row < job.q.rows; ++row) {
      const SeenKeys seen(job, row);
      const size_t begin = std::max({tile, first, seen.begin});
      const size_t end = std::min({tile + kCacheTile, last, seen.end});
      if (begin >= end) continue;
      if (rows_end == 0) rows_begin = row;
      rows_end = row + 1;
      rows[row] = {begin - tile, end - tile};
    }
  }

  // Returns the positions that any of queries [first, first + count) sees.
  TileRange Any(size_t first, size_t count) const {
    const size_t begin = std::max(first / group, rows_begin);
    const size_t end = std::min((first + count - 1) / group + 1, rows_end);
    if (begin >= end) return {0, 0};
    return {rows[begin].begin, rows[end - 1].end};
  }

  size_t group;           // the queries of a row
  size_t rows_begin = 0;  // rows [rows_begin, rows_end) see any position
  size_t rows_end = 0;
  TileRange rows[kMaxAttendRows] = {};
};

// The positions that queries of a register tile see. All of them see any.
template <size_t kQueries>
struct SeenByQueries {
  SeenByQueries(const SeenOfTile& seen, size_t first) {
    size_t row = first / seen.group;
    size_t left = seen.group - first % seen.group;  // queries of the row
    for (size_t i = 0; i < kQueries; ++i) {
      of[i] = seen.rows[row];
      if (--left != 0) continue;
      ++row;
      left = seen.group;
    }
    all = {of[0].begin, of[kQueries - 1].end};
    common = {of[kQueries - 1].begin, of[0].end};
    if (common.begin >= common.end) common = {all.end, all.end};
  }

  TileRange of[kQueries];
  TileRange all;     // that any sees
  TileRange common;  // that all see
};

// Returns the positions of a span: enough to keep the spans of a row few, and
// the same number for all rows of a job.
inline size_t SpanSize(const AttendJob& job) {
  size_t num_keys = std::min(job.position + 1, job.window);
  if (const MutualRange m = job.mutual; !m.empty()) {
    num_keys = m.end - m.begin + std::min(m.begin, job.window - 1);
  }
  size_t size = 256;
  while (size * (kMaxAttendSpans - 1) < num_keys) size *= 2;
  return size;
}

}  // namespace gemma::internal

#endif  // GEMMA_OPS_ATTEND_TASK_H_
