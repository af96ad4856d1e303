#include "src/forward/expert_block.h"

#include <algorithm>
#include <cmath>

#include "src/base/sizes.h"
#include "src/forward/ffw_block.h"
#include "src/forward/scratch.h"
#include "src/model/config/limits.h"

namespace gemma::internal {
namespace {

// The largest sizes of all layers.
struct ExpertSizes {
  explicit ExpertSizes(const ModelConfig& config) {
    for (const LayerConfig& layer : config.layers) {
      experts = std::max(experts, layer.num_experts);
      used = std::max(used, layer.experts_used);
      hidden = std::max(hidden, layer.experts_used * layer.expert_dim);
    }
    model_dim = experts == 0 ? 0 : config.model_dim;
  }

  size_t experts = 0;
  size_t used = 0;
  size_t hidden = 0;
  size_t model_dim = 0;  // 0 without experts
};

// Places the views of `s` in memory that begins at `start`, and returns their
// bytes. If `s` is null, only counts.
uint64_t PlaceExperts(const ModelConfig& config, size_t max_rows, float* start,
                      ExpertScratch* s) {
  const ExpertSizes sizes(config);
  uint64_t used = 0;
  const auto place = [&](MatrixView<float> ExpertScratch::*view, size_t cols) {
    if (s != nullptr) s->*view = {start + used, max_rows, cols};
    used += RoundUp(max_rows * cols, 16);
  };
  place(&ExpertScratch::normed, sizes.model_dim);
  place(&ExpertScratch::sum, sizes.model_dim);
  place(&ExpertScratch::logits, sizes.experts);
  place(&ExpertScratch::choices, 2 * sizes.used);
  place(&ExpertScratch::hidden, sizes.hidden);
  return used * sizeof(float);
}

// Writes the row's choices.
void Choose(std::span<const float> logits, float scale,
            std::span<const float> expert_scale, std::span<float> choices) {
  ExpertChoice chosen[kMaxExperts];
  const size_t used = choices.size() / 2;
  ChooseExperts(logits, scale, expert_scale, {chosen, used});
  for (size_t i = 0; i < used; ++i) {
    choices[2 * i] = static_cast<float>(chosen[i].expert);
    choices[2 * i + 1] = chosen[i].weight;
  }
}

}  // namespace

ExpertScratch::ExpertScratch(const ModelConfig& config, size_t max_rows)
    : memory_(AlignedBuffer::Allocate(
          PlaceExperts(config, max_rows, nullptr, nullptr))) {
  if (!ok()) return;
  PlaceExperts(config, max_rows, memory_.As<float>(), this);
  const ExpertSizes sizes(config);
  const size_t uses = max_rows * sizes.used;
  experts.reserve(std::min(uses, sizes.experts));
  rows.reserve(uses);
  slots.reserve(uses);
  weights.reserve(uses);
  ends_.reserve(sizes.experts + 1);
}

uint64_t ExpertScratch::Bytes(const ModelConfig& config, size_t max_rows) {
  const uint64_t uses = max_rows * ExpertSizes(config).used;
  return PlaceExperts(config, max_rows, nullptr, nullptr) +
         uses * (2 * sizeof(uint32_t) + sizeof(float));
}

size_t ExpertScratch::ContextBytes(const ModelConfig& config, size_t max_rows) {
  size_t bytes = 0;
  for (const LayerConfig& layer : config.layers) {
    if (layer.num_experts == 0) continue;
    bytes = std::max(bytes, ExpertsBytes(max_rows, layer.experts_used,
                                         config.model_dim, layer.expert_dim));
  }
  return bytes;
}

// Counts the uses of each expert and gives each use its place.
void ExpertScratch::Sort(const LayerWeights& layer, size_t num_rows,
                         size_t used) {
  const MatrixView<float> chosen = Narrowed(choices, num_rows, 2 * used);
  const auto expert_of = [&](size_t slot) {
    return static_cast<size_t>(chosen.data[2 * slot]);
  };
  const size_t uses = num_rows * used;
  const size_t num_experts = layer.expert_gate.size();
  rows.resize(uses);
  slots.resize(uses);
  ends_.assign(num_experts + 1, 0);
  for (size_t slot = 0; slot < uses; ++slot) ++ends_[expert_of(slot) + 1];
  experts.clear();
  for (size_t e = 0; e < num_experts; ++e) {
    const size_t count = ends_[e + 1];
    if (count != 0) {
      experts.push_back({layer.expert_gate[e].view, layer.expert_up[e].view,
                         layer.expert_down[e].view, ends_[e], count});
    }
    ends_[e + 1] += ends_[e];
  }
  for (size_t slot = 0; slot < uses; ++slot) {
    // Until its uses are placed, ends_[e] is where the next one goes.
    const size_t at = ends_[expert_of(slot)]++;
    rows[at] = static_cast<uint32_t>(slot / used);
    slots[at] = static_cast<uint32_t>(slot);
  }
}

void ExpertScratch::TakeWeights() {
  weights.clear();
  for (const uint32_t slot : slots) {
    weights.push_back(choices.data[2 * slot + 1]);
  }
}

void ExpertBlock(const ModelConfig& model, const LayerWeights& weights,
                 size_t layer, std::span<const Segment> segments,
                 MatrixView<const float> x, ExpertScratch& scratch,
                 MatrixView<float> update, MatMulContext& context) {
  const LayerConfig& config = model.layers[layer];
  const size_t used = config.experts_used;
  const float eps = model.rms_norm_eps;
  const MatrixView<float> normed =
      Narrowed(scratch.normed, x.rows, model.model_dim);
  const MatrixView<float> sum = Narrowed(scratch.sum, x.rows, model.model_dim);
  const MatrixView<float> logits =
      Narrowed(scratch.logits, x.rows, config.num_experts);
  const MatrixView<float> choices = Narrowed(scratch.choices, x.rows, 2 * used);

  ForEachRow(context.workers(), x.rows, [&](size_t r) {
    RmsNorm(x.Row(r), weights.router_scale, eps, sum.Row(r));
    RmsNorm(x.Row(r), weights.pre_expert_norm, eps, normed.Row(r));
    RmsNorm(update.Row(r), weights.post_dense_norm, eps, update.Row(r));
  });
  Tap(TapPoint::kExpertInput, layer, segments, normed);

  ExactMatMul({sum, weights.router.view, {}, logits}, context.workers());
  const float scale = 1.0f / std::sqrt(static_cast<float>(model.model_dim));
  ForEachRow(context.workers(), x.rows, [&](size_t r) {
    Choose(logits.Row(r), scale, weights.expert_scale, choices.Row(r));
  });
  scratch.Sort(weights, x.rows, used);
  Tap(TapPoint::kExpertChoice, layer, segments, choices);
  scratch.TakeWeights();

  const ExpertsJob job = {
      scratch.experts,
      scratch.rows,
      scratch.slots,
      scratch.weights,
      normed,
      Narrowed(scratch.hidden, x.rows * used, config.expert_dim),
      sum,
      GeluOf(model)};
  GatedExperts(job, context);
  Tap(TapPoint::kExpertHidden, layer, segments,
      Narrowed(scratch.hidden, x.rows, used * config.expert_dim));
  SumExperts(job, context);
  ForEachRow(context.workers(), x.rows, [&](size_t r) {
    RmsNorm(sum.Row(r), weights.post_expert_norm, eps, sum.Row(r));
    AddTo(sum.Row(r), update.Row(r));
  });
}

}  // namespace gemma::internal
