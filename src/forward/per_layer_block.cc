#include "src/forward/per_layer_block.h"

#include <cmath>

#include "src/forward/ffw_block.h"

namespace gemma::internal {
namespace {

// The row of the table for a word of the pass.
size_t TableRow(const BatchRow& row, const RowTable& table) {
  const auto token = static_cast<size_t>(row.token);
  return row.vector == nullptr && token < table.view.rows ? token : 0;
}

}  // namespace

void EmbedPerLayer(const ModelConfig& config, const Weights& weights,
                   std::span<const BatchRow> rows, MatrixView<const float> x,
                   Scratch& scratch, MatMulContext& context) {
  const size_t dim = config.per_layer_dim;
  const size_t all = config.num_layers() * dim;
  const MatrixView<float> vectors =
      Narrowed(scratch.per_layer, rows.size(), all);
  const MatMulJob job = {x, weights.per_layer_context.view, {}, vectors};
  MatMul({&job, 1}, context);

  const float scale = 1.0f / std::sqrt(static_cast<float>(config.model_dim));
  const RowTable& table = weights.per_layer_table;
  context.workers().ForEach(rows.size(), [&](size_t r, size_t worker) {
    const std::span<float> row = vectors.Row(r);
    for (float& value : row) value *= scale;
    for (size_t begin = 0; begin < all; begin += dim) {
      const std::span<float> part = row.subspan(begin, dim);
      RmsNorm(part, weights.per_layer_norm, config.rms_norm_eps, part);
    }
    if (table.view.rows == 0) return;
    const std::span<float> of_token = scratch.table_row.Row(worker);
    internal::Embed(table.view, TableRow(rows[r], table),
                    config.per_layer_scale, of_token);
    constexpr float kHalfRoot = 0.70710678118654752f;  // 1 / sqrt(2)
    for (size_t i = 0; i < all; ++i) {
      row[i] = (row[i] + of_token[i]) * kHalfRoot;
    }
  });
}

void PerLayerBlock(const ModelConfig& config, const LayerWeights& weights,
                   size_t layer, std::span<const Segment> segments,
                   MatrixView<const float> x, Scratch& scratch,
                   MatrixView<float> update, MatMulContext& context) {
  const size_t dim = config.per_layer_dim;
  const MatrixView<float> gate = Narrowed(scratch.per_layer_gate, x.rows, dim);
  const MatrixView<float> vectors =
      Narrowed(scratch.per_layer, x.rows, config.num_layers() * dim)
          .Cols(layer * dim, dim);
  const MatMulJob in = {x, weights.per_layer_gate.view, {}, gate};
  MatMul({&in, 1}, context);
  ForEachRow(context.workers(), x.rows, [&](size_t r) {
    GatedGelu(gate.Row(r), vectors.Row(r), GeluOf(config));
  });
  Tap(TapPoint::kPerLayerHidden, layer, segments, gate);
  const MatMulJob out = {gate, weights.per_layer_proj.view, {}, update};
  MatMul({&out, 1}, context);
}

}  // namespace gemma::internal
