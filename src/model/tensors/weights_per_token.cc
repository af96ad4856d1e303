#include "src/model/tensors/weights_per_token.h"

#include <cstddef>

#include "compression/layout.h"
#include "compression/weight_view.h"

namespace gemma::internal {
namespace {

// The bytes of the head that TopProducts leaves out: lower bits of codes.
uint64_t UnreadOfHead(const PackedView& head, Arithmetic arithmetic) {
  if (!TopProducts::Supports(head, arithmetic)) return 0;
  return uint64_t{head.NumPanels()} * (head.cols / kTileCols) *
         RestBytes(head.layout);
}

// The bytes of a layer's experts that a token does not use.
uint64_t UnusedExperts(const LayerWeights& layer, const LayerConfig& config) {
  if (config.num_experts == 0) return 0;
  const uint64_t expert = uint64_t{layer.expert_gate[0].view.Bytes()} +
                          layer.expert_up[0].view.Bytes() +
                          layer.expert_down[0].view.Bytes();
  return (config.num_experts - config.experts_used) * expert;
}

}  // namespace

uint64_t WeightsPerToken(const Weights& weights, const ModelConfig& config,
                         Arithmetic arithmetic) {
  uint64_t bytes = weights.bytes - UnreadOfHead(weights.HeadView(), arithmetic);
  // If the embedding is not the head, only a row of it is read.
  if (weights.head.view.rows != 0) bytes -= weights.embedding.view.Bytes();
  const WeightView& table = weights.per_layer_table.view;
  if (table.rows != 0) {
    if (weights.table_bytes == 0) bytes -= table.rows * table.RowBytes();
    bytes += table.RowBytes();
  }
  for (size_t i = 0; i < weights.layers.size(); ++i) {
    bytes -= UnusedExperts(weights.layers[i], config.layers[i]);
  }
  return bytes;
}

}  // namespace gemma::internal
