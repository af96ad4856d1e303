// Attention over keys and values that are larger than the CPU's caches.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "benchmark/benchmark.h"
#include "benchmarks/command_line.h"
#include "benchmarks/support.h"
#include "compression/half.h"
#include "ops/aligned_buffer.h"
#include "ops/ops.h"

namespace gemma::internal {
namespace {

constexpr float kQueryScale = 0.0625f;

// The shape of a layer's attention.
struct AttentionShape {
  const char* name;
  size_t heads;
  size_t kv_heads;
  float soft_cap;
  size_t head_dim = 256;
  size_t num_rotated = 0;  // see HeadCache
};
constexpr AttentionShape kShapes[] = {
    {"gemma3_270m", 4, 1, 0.0f},
    {"gemma2_2b", 8, 4, 50.0f},
    {"recurrentgemma_2b", 10, 1, 0.0f},
    {"gemma4_e2b_global", 8, 1, 0.0f, 512},
    {"gemma4_31b_global", 32, 4, 0.0f, 512, 64},
    {"gemma4_31b_global_whole_keys", 32, 4, 0.0f, 512},
};

// The keys and values of one layer, in more copies than the CPU's caches hold.
class LayerCaches {
 public:
  LayerCaches(CacheType type, const AttentionShape& shape, size_t keys)
      : type_(type),
        shape_(shape),
        keys_(keys),
        key_bytes_(keys * CacheRowBytes(
                              type, KeyDim(shape.head_dim, shape.num_rotated))),
        value_bytes_(keys * CacheRowBytes(type, shape.head_dim)),
        num_copies_(BytesBeyondCaches() / bytes() + 1),
        memory_(AlignedBuffer::Allocate(num_copies_ * bytes())) {
    if (memory_.data() == nullptr) {
      Fail(absl::StrFormat("no memory for %d caches of %d bytes", num_copies_,
                           bytes()));
    }
    const size_t dim = shape.head_dim;
    const std::vector<float> values =
        RandomVector(2 * shape.kv_heads * keys * dim, /*seed=*/1);
    const std::span<const float> all(values);
    for (size_t i = 0; i < shape.kv_heads * keys; ++i) {
      StoreCache(all.subspan(2 * i * dim, dim),
                 all.subspan((2 * i + 1) * dim, dim), i % keys,
                 Head(0, i / keys));
    }
    for (size_t i = 1; i < num_copies_; ++i) {
      std::memcpy(memory_.data() + i * bytes(), memory_.data(), bytes());
    }
  }

  // Returns the bytes of one copy.
  size_t bytes() const { return shape_.kv_heads * (key_bytes_ + value_bytes_); }

  HeadCache Head(size_t copy, size_t kv_head) const {
    uint8_t* keys = memory_.data() + copy % num_copies_ * bytes() +
                    kv_head * (key_bytes_ + value_bytes_);
    return {keys, keys + key_bytes_, type_, keys_, shape_.num_rotated};
  }

 private:
  CacheType type_;
  AttentionShape shape_;
  size_t keys_;
  size_t key_bytes_, value_bytes_;  // of one head
  size_t num_copies_;
  AlignedBuffer memory_;
};

// A layer's attention for the last `rows` of `keys` positions. Only this struct
// uses Attend.
struct Layer {
  Layer(const AttentionShape& shape, size_t rows, size_t keys)
      : shape(shape),
        rows(rows),
        keys(keys),
        q(RandomVector(rows * shape.heads * shape.head_dim, /*seed=*/2)),
        out(q.size()),
        key_weight(RandomVector(shape.head_dim, /*seed=*/3)),
        scratch_size(AttendScratchSize(rows * Group(), shape.head_dim)),
        partial_size(AttendPartialSize(rows * Group(), shape.head_dim)),
        scratch(BenchmarkWorkers().num_threads() * scratch_size),
        partials(shape.kv_heads * kMaxAttendSpans * partial_size) {}

  size_t Group() const { return shape.heads / shape.kv_heads; }

  AttendJob Job(const LayerCaches& caches, size_t copy, size_t kv_head) {
    const size_t cols = Group() * shape.head_dim;
    const size_t stride = shape.heads * shape.head_dim;
    return {.q = {q.data() + kv_head * cols, rows, cols, stride},
            .head_dim = shape.head_dim,
            .cache = caches.Head(copy, kv_head),
            .position = keys - rows,
            .window = keys,
            .query_scale = kQueryScale,
            .soft_cap = shape.soft_cap,
            .out = {out.data() + kv_head * cols, rows, cols, stride},
            .key_weight = key_weight};
  }

  // If the heads are too few for the threads, divides the keys, as the model
  // does.
  void Run(const LayerCaches& caches, size_t copy) {
    Workers& workers = BenchmarkWorkers();
    const size_t spans = NumAttendSpans(Job(caches, copy, 0));
    workers.ForEach(shape.kv_heads * spans, [&](size_t task, size_t worker) {
      const size_t head = task / spans;
      AttendSpan(Job(caches, copy, head), task % spans,
                 {scratch.data() + worker * scratch_size, scratch_size},
                 {partials.data() +
                      (head * kMaxAttendSpans + task % spans) * partial_size,
                  partial_size});
    });
    workers.ForEach(shape.kv_heads, [&](size_t head, size_t) {
      MergeSpans(Job(caches, copy, head),
                 {partials.data() + head * kMaxAttendSpans * partial_size,
                  spans * partial_size});
    });
  }

  AttentionShape shape;
  size_t rows, keys;
  std::vector<float> q, out;      // [rows, heads, head_dim]
  std::vector<float> key_weight;  // [head_dim]
  size_t scratch_size, partial_size;
  std::vector<float> scratch, partials;
};

double CacheValue(CacheType type, const void* from, size_t i) {
  return type == CacheType::kF32
             ? static_cast<const float*>(from)[i]
             : BF16ToFloat(static_cast<const uint16_t*>(from)[i]);
}

// Value i of a key. See HeadCache for keys that follow from values.
double KeyValue(const Layer& layer, const HeadCache& cache, size_t key,
                size_t i) {
  const size_t dim = layer.shape.head_dim;
  const size_t n = layer.shape.num_rotated;
  if (n != 0 && i % (dim / 2) >= n) {
    return layer.key_weight[i] *
           CacheValue(cache.type, cache.values, key * dim + i);
  }
  const size_t at = n != 0 && i >= dim / 2 ? n + i - dim / 2 : i;
  return CacheValue(cache.type, cache.keys,
                    key / kCacheBlock * kCacheBlock * KeyDim(dim, n) +
                        at * kCacheBlock + key % kCacheBlock);
}

// Computes the attention of one query in double precision.
std::vector<double> Reference(std::span<const float> q, const Layer& layer,
                              const HeadCache& cache) {
  const size_t dim = layer.shape.head_dim;
  const double soft_cap = layer.shape.soft_cap;
  std::vector<double> out(dim);
  std::vector<double> weights(cache.num_slots);
  for (size_t key = 0; key < cache.num_slots; ++key) {
    double score = 0;
    for (size_t i = 0; i < dim; ++i) {
      score += q[i] * KeyValue(layer, cache, key, i);
    }
    score *= kQueryScale;
    if (soft_cap > 0) score = soft_cap * std::tanh(score / soft_cap);
    weights[key] = std::exp(score);  // scores are below 32
  }
  double sum = 0;
  for (const double weight : weights) sum += weight;
  for (size_t key = 0; key < cache.num_slots; ++key) {
    for (size_t i = 0; i < dim; ++i) {
      out[i] += weights[key] / sum *
                CacheValue(cache.type, cache.values, key * dim + i);
    }
  }
  return out;
}

// Compares the last head of the last row. Values are below 1. The tolerance
// covers float32 sums of `keys` values, and of head_dim products in a score.
bool Check(benchmark::State& state, const Layer& layer,
           const LayerCaches& caches) {
  const size_t dim = layer.shape.head_dim;
  const size_t last = layer.rows * layer.shape.heads - 1;
  const std::span<const float> q(layer.q.data() + last * dim, dim);
  const std::vector<double> expected =
      Reference(q, layer, caches.Head(0, layer.shape.kv_heads - 1));
  const std::vector<double> tolerance(
      dim, static_cast<double>(layer.keys + dim) * 0x1p-24);
  return CheckNear(state, {layer.out.data() + last * dim, dim}, expected,
                   tolerance);
}

// state.range: the rows, and the keys that each row sees.
void BM_Attend(benchmark::State& state, CacheType type,
               const AttentionShape& shape) {
  const auto rows = static_cast<size_t>(state.range(0));
  const auto keys = static_cast<size_t>(state.range(1));
  const LayerCaches caches(type, shape, keys);
  Layer layer(shape, rows, keys);
  layer.Run(caches, 0);
  if (!Check(state, layer, caches)) return;
  const double seconds = Time(state, [&](size_t i) { layer.Run(caches, i); });
  // q.k and weight * v take one multiply-add for each value.
  const double macs =
      2.0 * static_cast<double>(rows * shape.heads * keys * shape.head_dim);
  Report(state, seconds, {static_cast<double>(caches.bytes()), 2 * macs});
}

void BM_StoreCache(benchmark::State& state, CacheType type) {
  constexpr size_t kHeadDim = 256;
  const std::vector<float> key = RandomVector(kHeadDim, /*seed=*/1);
  const std::vector<float> value = RandomVector(kHeadDim, /*seed=*/2);
  const size_t half = kCacheTile * CacheRowBytes(type, kHeadDim);
  std::vector<uint8_t> memory(2 * half);
  const HeadCache cache = {memory.data(), memory.data() + half, type,
                           kCacheTile};
  StoreCache(key, value, /*position=*/0, cache);
  std::vector<float> stored(kHeadDim);
  for (size_t i = 0; i < kHeadDim; ++i) {
    stored[i] =
        static_cast<float>(CacheValue(type, cache.keys, i * kCacheBlock));
  }
  const std::vector<double> expected(key.begin(), key.end());
  const double rounding = type == CacheType::kF32 ? 0 : 0x1p-8;
  if (!CheckNear(state, stored, expected, rounding)) return;
  const double seconds =
      Time(state, [&](size_t i) { StoreCache(key, value, i % 64, cache); });
  Report(state, seconds, {.bytes = 2 * kHeadDim * sizeof(float)});
}

void AddBenchmarks() {
  for (const CacheType type : {CacheType::kBF16, CacheType::kF32}) {
    const std::string name = type == CacheType::kBF16 ? "bf16" : "f32";
    for (const AttentionShape& shape : kShapes) {
      benchmark::RegisterBenchmark(
          absl::StrCat("Attend/", name, "/", shape.name).c_str(), BM_Attend,
          type, shape)
          ->UseRealTime()
          ->Unit(benchmark::kMicrosecond)
          ->ArgNames({"rows", "keys"})
          ->ArgsProduct({{1, 64}, {64, 512, 2048, 8192, 16384}});
    }
    benchmark::RegisterBenchmark(absl::StrCat("StoreCache/", name).c_str(),
                                 BM_StoreCache, type);
  }
}

}  // namespace
}  // namespace gemma::internal

int main(int argc, char** argv) {
  return gemma::internal::RunBenchmarks(argc, argv,
                                        gemma::internal::AddBenchmarks);
}
