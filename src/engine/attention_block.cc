#include "src/engine/attention_block.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

#include "ops/ops.h"
#include "src/engine/tap.h"

namespace gemma {
namespace {

// Normalizes (Gemma 3) and rotates each head of a row in place.
void PrepareHeads(const ModelConfig& config, std::span<const float> norm,
                  std::span<const float> cos, std::span<const float> sin,
                  std::span<float> heads) {
  for (size_t i = 0; i < heads.size(); i += config.head_dim) {
    const std::span<float> head = heads.subspan(i, config.head_dim);
    if (!norm.empty()) RmsNorm(head, norm, config.rms_norm_eps, head);
    Rope(cos, sin, head);
  }
}

// Queries of one task, if a kv head has not more of them.
constexpr size_t kMaxQueries = 64;
// Tasks that a thread should find, so that all end at about the same time.
constexpr size_t kTasksPerThread = 2;

// Runs the jobs of all blocks and kv heads; job_of(item) is one of them.
template <class JobOf>
void AttendRows(const AttentionScratch& attention, size_t num_kv_heads,
                Workers& workers, JobOf job_of) {
  const size_t num_items = attention.blocks().size() * num_kv_heads;
  size_t num_spans = 1;
  if (attention.divide_keys()) {
    for (size_t item = 0; item < num_items; item += num_kv_heads) {
      num_spans = std::max(num_spans, NumAttendSpans(job_of(item)));
    }
  }
  if (num_spans == 1) {
    workers.ForEach(num_items, [&](size_t item, size_t worker) {
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
               attention.Partial(task / num_spans, span));
  });
  workers.ForEach(num_items, [&](size_t item, size_t) {
    MergeSpans(job_of(item), attention.Partials(item));
  });
}

}  // namespace

AttentionScratch::AttentionScratch(const ModelConfig& config, size_t max_rows,
                                   size_t num_threads)
    : num_kv_heads_(config.num_kv_heads),
      num_threads_(num_threads),
      sizes_(config),
      memory_(AlignedBuffer::Allocate(Bytes(config, num_threads))) {
  blocks_.reserve(max_rows);
}

AttentionScratch::Sizes::Sizes(const ModelConfig& config) {
  const size_t group = config.num_heads / config.num_kv_heads;
  max_count = std::bit_floor(std::max<size_t>(kMaxQueries / group, 1));
  task = AttendScratchSize(max_count * group, config.head_dim);
  partial = AttendPartialSize(group, config.head_dim);
}

uint64_t AttentionScratch::Bytes(const ModelConfig& config,
                                 size_t num_threads) {
  const Sizes sizes(config);
  return num_threads *
         (sizes.task + kTasksPerThread * kMaxAttendSpans * sizes.partial) *
         sizeof(float);
}

void AttentionScratch::Divide(std::span<const BatchRow> rows) {
  const size_t wanted = num_threads_ == 1 ? 1 : kTasksPerThread * num_threads_;
  size_t max_count = sizes_.max_count;
  Cut(rows, max_count);
  while (blocks_.size() * num_kv_heads_ < wanted && max_count > 1) {
    max_count /= 2;
    Cut(rows, max_count);
  }
  divide_keys_ = blocks_.size() * num_kv_heads_ < wanted;
}

// A block begins with a sequence and at each multiple of max_count.
void AttentionScratch::Cut(std::span<const BatchRow> rows, size_t max_count) {
  blocks_.clear();
  for (size_t r = 0; r < rows.size(); ++r) {
    if (r == 0 || rows[r].state != rows[r - 1].state ||
        rows[r].position % max_count == 0) {
      blocks_.push_back({r, 0});
    }
    ++blocks_.back().count;
  }
}

std::span<float> AttentionScratch::Task(size_t worker) const {
  return {memory_.As<float>() + worker * sizes_.task, sizes_.task};
}

std::span<float> AttentionScratch::Partials(size_t item) const {
  const size_t size = kMaxAttendSpans * sizes_.partial;
  return {memory_.As<float>() + num_threads_ * sizes_.task + item * size, size};
}

std::span<float> AttentionScratch::Partial(size_t item, size_t span) const {
  return Partials(item).subspan(span * sizes_.partial, sizes_.partial);
}

void AttentionBlock(const ModelConfig& config, const LayerWeights& weights,
                    size_t layer, std::span<const Segment> segments,
                    std::span<const BatchRow> rows,
                    MatrixView<const float> normed, Scratch& scratch,
                    const AttentionScratch& attention, MatrixView<float> update,
                    MatMulContext& context) {
  const bool local = config.blocks[layer] == BlockType::kLocalAttention;
  const MatrixView<float> q = scratch.q.Rows(0, rows.size());
  const MatrixView<float> k = scratch.k.Rows(0, rows.size());
  const MatrixView<float> v = scratch.v.Rows(0, rows.size());
  const MatrixView<float> heads = scratch.heads.Rows(0, rows.size());
  const MatrixView<float> cos = local ? scratch.cos_local : scratch.cos_global;
  const MatrixView<float> sin = local ? scratch.sin_local : scratch.sin_global;

  const std::array<MatMulJob, 3> projections = {{
      {normed, weights.q_proj.view, {}, q},
      {normed, weights.k_proj.view, {}, k},
      {normed, weights.v_proj.view, {}, v},
  }};
  MatMul(projections, context);

  // All rows' keys must be stored before any row attends: a ring has room for
  // the rows of a pass besides the windows that they see.
  // One task stores the rows of a block: their keys share cache lines.
  const std::span<const RowBlock> blocks = attention.blocks();
  context.workers().ForEach(blocks.size(), [&](size_t block, size_t) {
    const size_t end = blocks[block].first + blocks[block].count;
    for (size_t r = blocks[block].first; r < end; ++r) {
      PrepareHeads(config, weights.q_norm, cos.Row(r), sin.Row(r), q.Row(r));
      PrepareHeads(config, weights.k_norm, cos.Row(r), sin.Row(r), k.Row(r));
      rows[r].state->kv(layer).Store(rows[r].position, k.Row(r), v.Row(r));
    }
  });

  const size_t group_dim =
      config.num_heads / config.num_kv_heads * config.head_dim;
  AttendRows(
      attention, config.num_kv_heads, context.workers(), [&](size_t item) {
        const RowBlock& block = blocks[item / config.num_kv_heads];
        const size_t kv_head = item % config.num_kv_heads;
        const auto slice = [&](MatrixView<float> m) {
          return m.Rows(block.first, block.count)
              .Cols(kv_head * group_dim, group_dim);
        };
        const BatchRow& row = rows[block.first];
        return AttendJob{
            slice(q),
            config.head_dim,
            row.state->kv(layer).Head(kv_head),
            row.position,
            local ? config.sliding_window : std::numeric_limits<size_t>::max(),
            config.query_scale,
            config.attn_logits_soft_cap,
            slice(heads),
            row.text_size};
      });

  Tap(TapPoint::kMixHidden, layer, segments, heads);
  const MatMulJob out = {heads, weights.o_proj.view, weights.o_bias, update};
  MatMul({&out, 1}, context);
}

}  // namespace gemma
