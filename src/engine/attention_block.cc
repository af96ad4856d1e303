#include "src/engine/attention_block.h"

#include <array>

#include "ops/ops.h"

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

}  // namespace

void AttentionBlock(const ModelConfig& config, const LayerWeights& weights,
                    size_t layer, std::span<const BatchRow> rows,
                    MatrixView<const float> normed, Scratch& scratch,
                    MatrixView<float> scores, MatrixView<float> update,
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
  context.workers().ForEach(rows.size(), [&](size_t r, size_t) {
    PrepareHeads(config, weights.q_norm, cos.Row(r), sin.Row(r), q.Row(r));
    PrepareHeads(config, weights.k_norm, cos.Row(r), sin.Row(r), k.Row(r));
    rows[r].state->kv(layer).Store(rows[r].position, k.Row(r), v.Row(r));
  });

  const size_t group = config.num_heads / config.num_kv_heads;
  context.workers().ForEach(rows.size() * config.num_heads, [&](size_t task,
                                                                size_t worker) {
    const BatchRow& row = rows[task / config.num_heads];
    const size_t head = task % config.num_heads;
    const size_t end = row.position + 1;
    const size_t begin =
        local && end > config.sliding_window ? end - config.sliding_window : 0;
    const auto slice = [&](MatrixView<float> m) {
      return m.Row(task / config.num_heads)
          .subspan(head * config.head_dim, config.head_dim);
    };
    Attend({slice(q), row.state->kv(layer).Head(head / group), begin, end,
            config.query_scale, config.attn_logits_soft_cap, scores.Row(worker),
            slice(heads)});
  });

  const MatMulJob out = {heads, weights.o_proj.view, weights.o_bias, update};
  MatMul({&out, 1}, context);
}

}  // namespace gemma
