#include "src/forward/per_layer_block.h"

#include <algorithm>
#include <cmath>

#include "src/forward/ffw_block.h"

namespace gemma::internal {
namespace {

// The row of the table for a word of the pass.
size_t TableRow(const BatchRow& row, const RowTable& table) {
  const auto token = static_cast<size_t>(row.token);
  return row.vector == nullptr && token < table.view.rows ? token : 0;
}

// Scales and normalizes one layer's part of the product with per_layer_context.
void NormalizePart(const ModelConfig& config, const Weights& weights,
                   std::span<float> part) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(config.model_dim));
  for (float& value : part) value *= scale;
  RmsNorm(part, weights.per_layer_norm, config.rms_norm_eps, part);
}

// The panels of per_layer_context that hold a layer's part.
struct LayerPanels {
  PackedView view;
  size_t begin = 0;  // of the part, among the rows of `view`
};

LayerPanels PanelsOf(const PackedView& all, size_t layer, size_t dim) {
  const size_t first = layer * dim / kPanelRows;
  LayerPanels panels = {all, layer * dim - first * kPanelRows};
  panels.view.data = all.Panel(first);
  panels.view.rows = panels.begin + dim;
  return panels;
}

// Computes the layer's part of the product of the embeddings with
// per_layer_context, not yet normalized: [rows, per_layer_dim].
MatrixView<float> PartOf(const ModelConfig& config, const Weights& weights,
                         size_t layer, size_t rows, Scratch& scratch,
                         MatMulContext& context) {
  const size_t dim = config.per_layer_dim;
  const LayerPanels panels =
      PanelsOf(weights.per_layer_context.view, layer, dim);
  const MatrixView<float> out =
      Narrowed(scratch.per_layer_part, rows, panels.view.rows);
  const MatMulJob job = {Narrowed(scratch.per_layer, rows, config.model_dim),
                         panels.view,
                         {},
                         out};
  MatMul({&job, 1}, context);
  return out.Cols(panels.begin, dim);
}

}  // namespace

void EmbedPerLayer(const ModelConfig& config, const Weights& weights,
                   std::span<const BatchRow> rows, MatrixView<const float> x,
                   Scratch& scratch, MatMulContext& context) {
  const RowTable& table = weights.per_layer_table;
  if (table.view.rows == 0) {
    ForEachRow(context.workers(), x.rows, [&](size_t r) {
      std::ranges::copy(x.Row(r), scratch.per_layer.Row(r).begin());
    });
    return;
  }
  const size_t dim = config.per_layer_dim;
  const size_t all = config.num_layers() * dim;
  const MatrixView<float> vectors =
      Narrowed(scratch.per_layer, rows.size(), all);
  const MatMulJob job = {x, weights.per_layer_context.view, {}, vectors};
  MatMul({&job, 1}, context);
  context.workers().ForEach(rows.size(), [&](size_t r, size_t worker) {
    const std::span<float> row = vectors.Row(r);
    for (size_t begin = 0; begin < all; begin += dim) {
      NormalizePart(config, weights, row.subspan(begin, dim));
    }
    const std::span<float> of_token = scratch.table_row.Row(worker);
    internal::Embed(table.view, TableRow(rows[r], table),
                    config.per_layer_scale, of_token);
    constexpr float kHalfRoot = 0.70710678118654752f;  // 1 / sqrt(2)
    for (size_t i = 0; i < all; ++i) {
      row[i] = (row[i] + of_token[i]) * kHalfRoot;
    }
  });
}

void PerLayerBlock(const ModelConfig& config, const Weights& all, size_t layer,
                   std::span<const Segment> segments, MatrixView<const float> x,
                   Scratch& scratch, MatrixView<float> update,
                   MatMulContext& context) {
  const LayerWeights& weights = all.layers[layer];
  const size_t dim = config.per_layer_dim;
  const bool has_table = all.per_layer_table.view.rows != 0;
  const MatrixView<float> gate = Narrowed(scratch.per_layer_gate, x.rows, dim);
  const MatrixView<float> vectors =
      has_table ? Narrowed(scratch.per_layer, x.rows, config.num_layers() * dim)
                      .Cols(layer * dim, dim)
                : PartOf(config, all, layer, x.rows, scratch, context);
  const MatMulJob in = {x, weights.per_layer_gate.view, {}, gate};
  MatMul({&in, 1}, context);
  ForEachRow(context.workers(), x.rows, [&](size_t r) {
    if (!has_table) NormalizePart(config, all, vectors.Row(r));
    GatedGelu(gate.Row(r), vectors.Row(r), GeluOf(config));
  });
  Tap(TapPoint::kPerLayerHidden, layer, segments, gate);
  const MatMulJob out = {gate, weights.per_layer_proj.view, {}, update};
  MatMul({&out, 1}, context);
}

}  // namespace gemma::internal
