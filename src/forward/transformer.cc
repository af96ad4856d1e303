#include "src/forward/transformer.h"

#include <algorithm>
#include <functional>

#include "ops/ops.h"
#include "src/base/format_text.h"
#include "src/forward/altup_block.h"
#include "src/forward/expert_block.h"
#include "src/forward/ffw_block.h"
#include "src/forward/per_layer_block.h"
#include "src/forward/recurrent_block.h"
#include "src/forward/segment.h"
#include "src/model/tensors/weight_table.h"

namespace gemma::internal {
namespace {

// Columns of the widest input of a matrix multiplication.
size_t WidestInput(const ModelConfig& config) {
  size_t widest = std::max({config.model_dim, config.lru_width,
                            config.per_layer_dim, config.laurel_rank});
  for (const LayerConfig& layer : config.layers) {
    widest = std::max({widest, layer.ffw_dim, layer.q_dim(), layer.expert_dim});
  }
  return widest;
}

// The first layer from which on no layer has a state of its own.
size_t FirstShared(const ModelConfig& config) {
  size_t first = config.num_layers();
  while (first > 0 && !config.layers[first - 1].has_own_kv()) --first;
  return first;
}

// Bytes that products of up to max_rows rows need.
size_t ContextBytes(const ModelConfig& config, size_t max_rows) {
  return std::max(MatMulContext::Bytes(max_rows, WidestInput(config)),
                  ExpertScratch::ContextBytes(config, max_rows));
}

// Routers have the same arithmetic in all passes, and so have a recurrence's
// gates.
bool RowsMatter(const Weights& weights, Arithmetic arithmetic) {
  const auto matters = [&](const Matrix& m) {
    return m.view.rows != 0 && internal::RowsMatter(m.view, arithmetic);
  };
  bool any = internal::RowsMatter(weights.HeadView(), arithmetic) ||
             matters(weights.per_layer_context);
  for (const auto* stack : {&weights.altup_proj, &weights.altup_unembed}) {
    any = any || std::any_of(stack->begin(), stack->end(), matters);
  }
  for (const LayerWeights& layer : weights.layers) {
    ForEachOf<Matrix>(layer, [&](const Matrix& m) {
      const bool exact = &m == &layer.router || &m == &layer.altup_router;
      any = any || (!exact && matters(m));
    });
    for (const auto* experts :
         {&layer.expert_gate, &layer.expert_up, &layer.expert_down}) {
      any = any || std::any_of(experts->begin(), experts->end(), matters);
    }
  }
  return any;
}

}  // namespace

Transformer::Transformer(const ModelConfig& config, const Weights& weights,
                         Arithmetic arithmetic, size_t max_rows,
                         Workers& workers)
    : config_(config),
      weights_(weights),
      context_(arithmetic, ContextBytes(config, max_rows), workers),
      scratch_(config, max_rows, workers.num_threads()),
      experts_(config, max_rows),
      attention_(config, max_rows, workers.num_threads()),
      few_rows_(RowsMatter(weights, arithmetic)
                    ? std::min(max_rows, kMinTileRows - 1)
                    : max_rows),
      rope_(config, max_rows),
      first_shared_(FirstShared(config)) {
  // Reserve now, so that no pass allocates.
  rows_.reserve(max_rows);
  kept_.reserve(max_rows);
  const PackedView& head = weights.HeadView();
  panels_.reserve(head.NumPanels());
  if (TopProducts::Supports(head, arithmetic)) top_products_.Reserve(head);
}

absl::StatusOr<Transformer> Transformer::Create(const ModelConfig& config,
                                                const Weights& weights,
                                                Arithmetic arithmetic,
                                                size_t max_rows,
                                                Workers& workers) {
  Transformer transformer(config, weights, arithmetic, max_rows, workers);
  if (transformer.scratch_.ok() && transformer.context_.ok() &&
      transformer.experts_.ok() && transformer.attention_.ok() &&
      transformer.rope_.ok()) {
    return transformer;
  }
  return absl::ResourceExhaustedError(
      FormatText("no memory for %u bytes of activations",
                 ScratchBytes(config, max_rows, workers.num_threads())));
}

uint64_t Transformer::ScratchBytes(const ModelConfig& config, size_t max_rows,
                                   size_t num_threads) {
  return Scratch::Bytes(config, max_rows, num_threads) +
         ContextBytes(config, max_rows) +
         ExpertScratch::Bytes(config, max_rows) +
         AttentionScratch::Bytes(config, num_threads) +
         RopeTables::Bytes(config, max_rows);
}

void Transformer::Forward(std::span<const Segment> segments,
                          MatrixView<float> logits) {
  Logits(RunBlocks(segments), logits);
}

// Runs all blocks. Leaves the states of the segments that it returns in x, the
// residual stream: they have all rows whose logits are wanted.
std::span<const Segment> Transformer::RunBlocks(
    std::span<const Segment> segments) {
  rows_.clear();
  for (const Segment& segment : segments) AddRows(segment);
  // Rows that are kept after others were dropped have the bits that they have
  // among all rows.
  context_.SetPassRows(rows_.size());
  attention_.Divide(rows_);
  EmbedWords();
  const MatrixView<float> x = scratch_.x.Rows(0, rows_.size());
  Tap(TapPoint::kEmbedding, 0, segments, x);
  if (config_.per_layer_dim != 0) {
    EmbedPerLayer(config_, weights_, rows_, x, scratch_, context_);
  }
  const bool has_streams = config_.altup_streams != 0;
  if (has_streams) {
    SplitStreams(config_, weights_, rows_.size(), scratch_, context_);
  }
  for (size_t layer = 0; layer < config_.num_layers(); ++layer) {
    if (layer == first_shared_) {
      segments = DropRows(segments);
      if (rows_.empty()) break;
    }
    RunBlock(layer, segments);
  }
  if (!has_streams) return segments;
  // Only these rows need the products that merge their streams.
  if (first_shared_ == config_.num_layers()) segments = DropRows(segments);
  if (!rows_.empty()) {
    MergeStreams(config_, weights_, rows_.size(), scratch_, context_);
  }
  return segments;
}

// Layers that store no keys influence only the row itself: keeps only the rows
// whose logits are wanted, and all rows of segments with a tap. Returns the
// segments that the rows make.
std::span<const Segment> Transformer::DropRows(
    std::span<const Segment> segments) {
  kept_.clear();
  size_t row = 0;
  size_t to = 0;
  for (const Segment& segment : segments) {
    const size_t size = segment.words.size();
    const size_t count = HasTap(segment) ? size : NumLogits(segment);
    row += size;
    if (count == 0) continue;
    Segment& kept = kept_.emplace_back(segment);
    kept.words = segment.words.From(size - count);
    kept.position += size - count;
    for (size_t from = row - count; from < row; ++from, ++to) {
      if (from == to) continue;
      rows_[to] = rows_[from];
      for (size_t i = 0; i < std::max<size_t>(1, config_.altup_streams); ++i) {
        const MatrixView<float> stream = StreamOf(scratch_, i, rows_.size());
        std::ranges::copy(stream.Row(from), stream.Row(to).begin());
      }
      std::ranges::copy(scratch_.per_layer.Row(from),
                        scratch_.per_layer.Row(to).begin());
      rope_.SetRow(to, rows_[to].position);
    }
  }
  if (to == rows_.size()) return segments;
  rows_.resize(to);
  attention_.Divide(rows_);
  return kept_;
}

// Adds the segment's words to the rows of the pass.
void Transformer::AddRows(const Segment& segment) {
  const size_t first = rows_.size();
  const size_t begin = segment.position;
  const size_t end = begin + segment.words.size();
  const MutualRange text =
      config_.bidirectional ? MutualRange{begin, end} : MutualRange{};
  for (size_t p = begin; p < end; ++p) {
    const TokenId token = segment.words.tokens()[p - begin];
    rows_.push_back({segment.state, token, p, text, nullptr});
  }
  segment.words.ForEachRun([&](const WordView::Run& run) {
    const size_t at = begin + run.begin;
    for (size_t i = 0; i < run.count; ++i) {
      BatchRow& row = rows_[first + run.begin + i];
      row.vector =
          run.rows.values().data() + (run.first + i) * config_.model_dim;
      if (run.bidirectional()) row.mutual = {at, at + run.count};
    }
  });
}

// Writes the rows' embeddings, or the given vectors, to x, and computes the
// angles of their positions.
void Transformer::EmbedWords() {
  context_.workers().ForEach(rows_.size(), [&](size_t r, size_t) {
    if (rows_[r].vector != nullptr) {
      std::copy_n(rows_[r].vector, config_.model_dim, scratch_.x.Row(r).data());
    } else {
      internal::Embed(weights_.embedding.view,
                      static_cast<size_t>(rows_[r].token),
                      config_.embedding_scale, scratch_.x.Row(r));
    }
    rope_.SetRow(r, rows_[r].position);
  });
}

// Runs one block in place on x, the residual stream. Norms and biases that a
// model lacks are empty.
void Transformer::RunBlock(size_t layer, std::span<const Segment> segments) {
  const LayerWeights& w = weights_.layers[layer];
  const MatrixView<float> x = scratch_.x.Rows(0, rows_.size());
  const MatrixView<float> normed = scratch_.normed.Rows(0, rows_.size());
  const MatrixView<float> update = scratch_.update.Rows(0, rows_.size());

  const bool has_streams = config_.altup_streams != 0;
  if (has_streams) {
    PredictStreams(config_, w, x.rows, scratch_, context_.workers());
  }
  NormRows(x, w.pre_mix_norm, normed);
  Tap(TapPoint::kMixInput, layer, segments, normed);
  if (config_.layers[layer].type == BlockType::kRecurrent) {
    RecurrentBlock(config_, w, layer, segments, normed, scratch_, update,
                   context_);
  } else {
    AttentionBlock(config_, w, layer, segments, rows_, rope_, normed, scratch_,
                   attention_, update, context_);
  }
  AddUpdate(w.post_mix_norm, TapPoint::kMixOutput, layer, segments);
  if (has_streams) LaurelBlock(config_, w, normed, scratch_, context_);
  Tap(TapPoint::kMixedStream, layer, segments, x);

  NormRows(x, w.pre_ffw_norm, normed);
  Tap(TapPoint::kFfwInput, layer, segments, normed);
  FfwBlock(config_, w, layer, segments, normed, scratch_, update, context_);
  if (config_.layers[layer].num_experts != 0) {
    ExpertBlock(config_, w, layer, segments, x, experts_, update, context_);
  }
  AddUpdate(w.post_ffw_norm, TapPoint::kFfwOutput, layer, segments);

  if (has_streams) {
    CorrectStreams(config_, w, x.rows, scratch_, context_.workers());
    AddPerLayerToStreams(layer, segments);
  } else if (config_.per_layer_dim != 0) {
    Tap(TapPoint::kPerLayerInput, layer, segments, x);
    PerLayerBlock(config_, weights_, layer, segments, x, scratch_, update,
                  context_);
    AddUpdate(w.post_per_layer_norm, TapPoint::kPerLayerOutput, layer,
              segments);
  }
  if (config_.layer_scales) {
    ForEachRow(context_.workers(), x.rows, [&](size_t r) {
      for (float& value : x.Row(r)) value *= w.layer_scale[0];
    });
  }
  Tap(TapPoint::kBlockOutput, layer, segments, x);
}

// Adds what the layer's embeddings give for the scaled first stream to the
// others.
void Transformer::AddPerLayerToStreams(size_t layer,
                                       std::span<const Segment> segments) {
  const LayerWeights& w = weights_.layers[layer];
  const size_t rows = rows_.size();
  const MatrixView<float> scaled = scratch_.normed.Rows(0, rows);
  const MatrixView<float> update = scratch_.update.Rows(0, rows);
  ForEachRow(context_.workers(), rows, [&](size_t r) {
    const std::span<float> out = scaled.Row(r);
    std::ranges::transform(scratch_.x.Row(r), w.altup_output_scale, out.begin(),
                           std::multiplies<>());
  });
  Tap(TapPoint::kPerLayerInput, layer, segments, scaled);
  PerLayerBlock(config_, weights_, layer, segments, scaled, scratch_, update,
                context_);
  NormRows(update, w.post_per_layer_norm, update);
  Tap(TapPoint::kPerLayerOutput, layer, segments, update);
  ForEachRow(context_.workers(), rows, [&](size_t r) {
    for (size_t i = 1; i < config_.altup_streams; ++i) {
      AddTo(update.Row(r), StreamOf(scratch_, i, rows).Row(r));
    }
  });
}

// x += post_norm(update), or x += update if the model has no such norm.
void Transformer::AddUpdate(std::span<const float> post_norm, TapPoint point,
                            size_t layer, std::span<const Segment> segments) {
  const MatrixView<float> x = scratch_.x.Rows(0, rows_.size());
  const MatrixView<float> update = scratch_.update.Rows(0, rows_.size());
  if (!post_norm.empty()) NormRows(update, post_norm, update);
  Tap(point, layer, segments, update);
  ForEachRow(context_.workers(), x.rows,
             [&](size_t r) { AddTo(update.Row(r), x.Row(r)); });
}

void Transformer::NormRows(MatrixView<const float> x,
                           std::span<const float> weight,
                           MatrixView<float> out) {
  ForEachRow(context_.workers(), x.rows, [&](size_t r) {
    RmsNorm(x.Row(r), weight, config_.rms_norm_eps, out.Row(r));
  });
}

}  // namespace gemma::internal
