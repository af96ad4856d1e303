#include "src/forward/attention_block.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

#include "ops/ops.h"
#include "src/forward/segment.h"

namespace gemma::internal {
namespace {

// Normalizes each head of a row in place; an empty norm is 1 everywhere.
void NormHeads(std::span<const float> norm, float eps, size_t head_dim,
               std::span<float> heads) {
  for (size_t i = 0; i < heads.size(); i += head_dim) {
    const std::span<float> head = heads.subspan(i, head_dim);
    RmsNorm(head, norm, eps, head);
  }
}

// Normalizes (if norm is not empty) and rotates each head of a row in place.
void PrepareHeads(std::span<const float> norm, float eps,
                  std::span<const float> cos, std::span<const float> sin,
                  size_t head_dim, std::span<float> heads) {
  if (!norm.empty()) NormHeads(norm, eps, head_dim, heads);
  for (size_t i = 0; i < heads.size(); i += head_dim) {
    Rope(cos, sin, heads.subspan(i, head_dim));
  }
}

// Most queries of one task. Only a kv head with more queries per row exceeds
// it.
constexpr size_t kMaxQueries = 64;
// Tasks for each thread, so that all threads end at about the same time.
constexpr size_t kTasksPerThread = 2;

// Runs the jobs of all blocks and kv heads: job_of(block * num_kv_heads + kv
// head).
template <class JobOf>
void AttendRows(const AttentionScratch& attention, const RowDivision& division,
                size_t num_kv_heads, Workers& workers, JobOf job_of) {
  const size_t num_items = division.blocks().size() * num_kv_heads;
  size_t num_spans = 1;
  if (division.divide_keys()) {
    for (size_t item = 0; item < num_items; item += num_kv_heads) {
      num_spans = std::max(num_spans, NumAttendSpans(job_of(item)));
    }
  }
  if (num_spans == 1) {
    // Later rows see more keys, so tasks alternate between the first items and
    // the last. Then all threads have shares of about the same work.
    workers.ForEach(num_items, [&](size_t task, size_t worker) {
      const size_t item = task % 2 == 0 ? task / 2 : num_items - 1 - task / 2;
      Attend(job_of(item), attention.Task(worker));
    });
    return;
  }
  workers.ForEach(num_items * num_spans, [&](size_t task, size_t worker) {
    const size_t span = task % num_spans;
    const AttendJob job = job_of(task / num_spans);
    // The batch's sequences differ in length.
    if (span >= NumAttendSpans(job)) return;
    AttendSpan(job, span, attention.Task(worker),
               attention.Partial(division, task / num_spans, span));
  });
  workers.ForEach(num_items, [&](size_t item, size_t) {
    MergeSpans(job_of(item), attention.Partials(division, item));
  });
}

// The distinct divisions that the layers of a model need.
std::vector<RowDivision> Distinct(const ModelConfig& config, size_t max_rows) {
  std::vector<RowDivision> out;
  for (const LayerConfig& layer : config.layers) {
    if (std::none_of(out.begin(), out.end(),
                     [&](const RowDivision& d) { return d.Fits(layer); })) {
      out.emplace_back(layer, max_rows);
    }
  }
  return out;
}

}  // namespace

RowDivision::RowDivision(const LayerConfig& layer, size_t max_rows)
    : num_heads_(layer.num_heads),
      num_kv_heads_(layer.num_kv_heads),
      head_dim_(layer.head_dim) {
  const size_t group = num_heads_ / num_kv_heads_;
  max_count_ = std::bit_floor(std::max<size_t>(kMaxQueries / group, 1));
  task_size_ = AttendScratchSize(max_count_ * group, head_dim_);
  partial_size_ = AttendPartialSize(group, head_dim_);
  blocks_.reserve(max_rows);
}

bool RowDivision::Fits(const LayerConfig& layer) const {
  return layer.num_heads == num_heads_ && layer.num_kv_heads == num_kv_heads_ &&
         layer.head_dim == head_dim_;
}

void RowDivision::Divide(std::span<const BatchRow> rows, size_t num_threads) {
  const size_t wanted = num_threads == 1 ? 1 : kTasksPerThread * num_threads;
  size_t max_count = max_count_;
  Cut(rows, max_count);
  while (blocks_.size() * num_kv_heads_ < wanted && max_count > 1) {
    max_count /= 2;
    Cut(rows, max_count);
  }
  divide_keys_ = blocks_.size() * num_kv_heads_ < wanted;
}

// A block begins where a sequence begins, where rows that see each other begin
// or end, and at each multiple of max_count.
void RowDivision::Cut(std::span<const BatchRow> rows, size_t max_count) {
  blocks_.clear();
  for (size_t r = 0; r < rows.size(); ++r) {
    if (r == 0 || rows[r].state != rows[r - 1].state ||
        rows[r].mutual != rows[r - 1].mutual ||
        rows[r].position % max_count == 0) {
      blocks_.push_back({r, 0});
    }
    ++blocks_.back().count;
  }
}

AttentionScratch::AttentionScratch(const ModelConfig& config, size_t max_rows,
                                   size_t num_threads)
    : num_threads_(num_threads),
      divisions_(Distinct(config, max_rows)),
      memory_(AlignedBuffer::Allocate(Bytes(config, num_threads))) {
  for (const LayerConfig& layer : config.layers) {
    size_t index = 0;
    while (!divisions_[index].Fits(layer)) ++index;
    index_.push_back(index);
    task_size_ = std::max(task_size_, divisions_[index].task_size());
  }
}

uint64_t AttentionScratch::Bytes(const ModelConfig& config,
                                 size_t num_threads) {
  size_t task = 0;
  size_t partial = 0;
  for (const RowDivision& division : Distinct(config, /*max_rows=*/0)) {
    task = std::max(task, division.task_size());
    partial = std::max(partial, division.partial_size());
  }
  return num_threads * (task + kTasksPerThread * kMaxAttendSpans * partial) *
         sizeof(float);
}

void AttentionScratch::Divide(std::span<const BatchRow> rows) {
  for (RowDivision& division : divisions_) division.Divide(rows, num_threads_);
}

std::span<float> AttentionScratch::Task(size_t worker) const {
  return {memory_.As<float>() + worker * task_size_, task_size_};
}

std::span<float> AttentionScratch::Partials(const RowDivision& division,
                                            size_t item) const {
  const size_t size = kMaxAttendSpans * division.partial_size();
  return {memory_.As<float>() + num_threads_ * task_size_ + item * size, size};
}

std::span<float> AttentionScratch::Partial(const RowDivision& division,
                                           size_t item, size_t span) const {
  return Partials(division, item)
      .subspan(span * division.partial_size(), division.partial_size());
}

void AttentionBlock(const ModelConfig& config, const LayerWeights& weights,
                    size_t layer, std::span<const Segment> segments,
                    std::span<const BatchRow> rows, const RopeTables& rope,
                    MatrixView<const float> normed, Scratch& scratch,
                    const AttentionScratch& attention, MatrixView<float> update,
                    MatMulContext& context) {
  const LayerConfig& shape = config.layers[layer];
  const size_t count = rows.size();
  const MatrixView<float> q = Narrowed(scratch.q, count, shape.q_dim());
  const MatrixView<float> k = Narrowed(scratch.k, count, shape.kv_dim());
  const MatrixView<float> v = Narrowed(scratch.v, count, shape.kv_dim());
  const MatrixView<float> heads = Narrowed(scratch.heads, count, shape.q_dim());

  const std::array<MatMulJob, 3> projections = {{
      {normed, weights.q_proj.view, {}, q},
      {normed, weights.k_proj.view, {}, k},
      {normed, weights.v_proj.view, {}, v},
  }};
  const bool has_own_kv = shape.has_own_kv();
  const size_t num_projections = !has_own_kv ? 1 : shape.k_eq_v ? 2 : 3;
  MatMul(std::span(projections).first(num_projections), context);

  const size_t head_dim = shape.head_dim;
  const float eps = config.rms_norm_eps;
  // The keys of all rows must be stored before any row attends. They fit,
  // because a ring has room for the rows of a pass in addition to the windows
  // that they see. One task stores the rows of a block, because their keys
  // share cache lines.
  const RowDivision& division = attention.DivisionOf(layer);
  const std::span<const RowBlock> blocks = division.blocks();
  context.workers().ForEach(blocks.size(), [&](size_t block, size_t) {
    const size_t end = blocks[block].first + blocks[block].count;
    for (size_t r = blocks[block].first; r < end; ++r) {
      const std::span<const float> cos = rope.Cos(layer, r);
      const std::span<const float> sin = rope.Sin(layer, r);
      PrepareHeads(weights.q_norm, eps, cos, sin, head_dim, q.Row(r));
      if (!has_own_kv) continue;
      if (shape.k_eq_v) std::ranges::copy(k.Row(r), v.Row(r).begin());
      if (config.value_norm) NormHeads({}, eps, head_dim, v.Row(r));
      PrepareHeads(weights.k_norm, eps, cos, sin, head_dim, k.Row(r));
      rows[r].state->kv(layer).Store(rows[r].position, k.Row(r), v.Row(r));
    }
  });

  const size_t num_kv_heads = shape.num_kv_heads;
  const size_t group_dim = shape.num_heads / num_kv_heads * head_dim;
  const size_t window = shape.type == BlockType::kLocalAttention
                            ? shape.sliding_window
                            : std::numeric_limits<size_t>::max();
  // In a bidirectional model, the window reaches as far ahead as back. In other
  // models it only limits how far back a row sees: bidirectional rows see all
  // later rows of their InputRows.
  const size_t ahead =
      config.bidirectional ? window - 1 : std::numeric_limits<size_t>::max();
  AttendRows(attention, division, num_kv_heads, context.workers(),
             [&](size_t item) {
               const RowBlock& block = blocks[item / num_kv_heads];
               const size_t kv_head = item % num_kv_heads;
               const auto slice = [&](MatrixView<float> m) {
                 return m.Rows(block.first, block.count)
                     .Cols(kv_head * group_dim, group_dim);
               };
               const BatchRow& row = rows[block.first];
               return AttendJob{slice(q),
                                head_dim,
                                row.state->kv(layer).Head(kv_head),
                                row.position,
                                window,
                                config.query_scale,
                                config.attn_logits_soft_cap,
                                slice(heads),
                                row.mutual,
                                ahead,
                                weights.k_norm};
             });

  Tap(TapPoint::kMixHidden, layer, segments, heads);
  const MatMulJob out = {heads, weights.o_proj.view, weights.o_bias, update};
  MatMul({&out, 1}, context);
}

}  // namespace gemma::internal
