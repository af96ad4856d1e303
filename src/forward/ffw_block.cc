#include "src/forward/ffw_block.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "ops/ops.h"
#include "src/forward/segment.h"

namespace gemma::internal {
namespace {

// The mean of term(x[i]), summed in several lanes, in an order that depends
// only on the size.
template <class Term>
double MeanOf(std::span<const float> x, Term term) {
  constexpr size_t kLanes = 8;
  std::array<double, kLanes> sums = {};
  const size_t whole = x.size() / kLanes * kLanes;
  for (size_t i = 0; i < whole; i += kLanes) {
    for (size_t j = 0; j < kLanes; ++j) sums[j] += term(double{x[i + j]});
  }
  double sum = 0.0;
  for (const double lane : sums) sum += lane;
  for (size_t i = whole; i < x.size(); ++i) sum += term(double{x[i]});
  return sum / static_cast<double>(x.size());
}

// Sparse gates: as LayerConfig::gate_cutoff says.
void CutGates(float cutoff, std::span<float> gate) {
  const double mean = MeanOf(gate, [](double x) { return x; });
  const double variance =
      MeanOf(gate, [mean](double x) { return (x - mean) * (x - mean); });
  const auto least =
      static_cast<float>(mean + std::sqrt(variance) * double{cutoff});
  // A NaN stays.
  for (float& x : gate) x = x <= least ? 0.0f : x - least;
}

}  // namespace

GeluForm GeluOf(const ModelConfig& config) {
  return config.exact_gelu ? GeluForm::kExact : GeluForm::kTanh;
}

void FfwBlock(const ModelConfig& model, const LayerWeights& weights,
              size_t layer, std::span<const Segment> segments,
              MatrixView<const float> normed, Scratch& scratch,
              MatrixView<float> update, MatMulContext& context) {
  const LayerConfig& config = model.layers[layer];
  const MatrixView<float> gate =
      Narrowed(scratch.gate, normed.rows, config.ffw_dim);
  const MatrixView<float> up =
      Narrowed(scratch.up, normed.rows, config.ffw_dim);
  if (config.gate_cutoff.has_value()) {
    const std::array<MatMulJob, 2> jobs = {
        {{normed, weights.gate_proj.view, weights.gate_bias, gate},
         {normed, weights.up_proj.view, weights.up_bias, up}}};
    MatMul(jobs, context);
    ForEachRow(context.workers(), normed.rows, [&](size_t r) {
      CutGates(*config.gate_cutoff, gate.Row(r));
      GatedGelu(gate.Row(r), up.Row(r), GeluOf(model));
    });
  } else {
    GatedMatMul({normed, weights.gate_proj.view, weights.up_proj.view,
                 weights.gate_bias, weights.up_bias, up, gate, GeluOf(model)},
                context);
  }
  Tap(TapPoint::kFfwHidden, layer, segments, gate);
  const MatMulJob down = {gate, weights.down_proj.view, weights.down_bias,
                          update};
  MatMul({&down, 1}, context);
}

}  // namespace gemma::internal
