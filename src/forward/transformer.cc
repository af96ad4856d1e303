#include "src/forward/transformer.h"

#include <algorithm>
#include <limits>

#include "ops/ops.h"
#include "src/base/format_text.h"
#include "src/base/sizes.h"
#include "src/forward/expert_block.h"
#include "src/forward/ffw_block.h"
#include "src/forward/per_layer_block.h"
#include "src/forward/recurrent_block.h"
#include "src/forward/segment.h"
#include "src/model/tensors/weight_table.h"

namespace gemma::internal {
namespace {

// Finding more than this many of the largest logits is hardly faster than
// computing all.
constexpr size_t kMaxTopK = 128;

// Columns of the widest input of a matrix multiplication.
size_t WidestInput(const ModelConfig& config) {
  size_t widest =
      std::max({config.model_dim, config.lru_width, config.per_layer_dim});
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

// The router has the same arithmetic in all passes, and so have a recurrence's
// gates.
bool RowsMatter(const Weights& weights, Arithmetic arithmetic) {
  const auto matters = [&](const Matrix& m) {
    return m.view.rows != 0 && internal::RowsMatter(m.view, arithmetic);
  };
  bool any = internal::RowsMatter(weights.HeadView(), arithmetic) ||
             matters(weights.per_layer_context);
  for (const LayerWeights& layer : weights.layers) {
    ForEachOf<Matrix>(layer, [&](const Matrix& m) {
      any = any || (&m != &layer.router && matters(m));
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
  for (size_t layer = 0; layer < config_.num_layers(); ++layer) {
    if (layer == first_shared_) {
      segments = DropRows(segments);
      if (rows_.empty()) break;
    }
    RunBlock(layer, segments);
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
      std::ranges::copy(scratch_.x.Row(from), scratch_.x.Row(to).begin());
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
  Tap(TapPoint::kMixedStream, layer, segments, x);

  NormRows(x, w.pre_ffw_norm, normed);
  Tap(TapPoint::kFfwInput, layer, segments, normed);
  FfwBlock(config_, w, layer, segments, normed, scratch_, update, context_);
  if (config_.layers[layer].num_experts != 0) {
    ExpertBlock(config_, w, layer, segments, x, experts_, update, context_);
  }
  AddUpdate(w.post_ffw_norm, TapPoint::kFfwOutput, layer, segments);

  if (config_.per_layer_dim != 0) {
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

// Writes the normalized rows whose logits are wanted to the first rows of
// `normed`, and returns their number.
size_t Transformer::HeadInputs(std::span<const Segment> segments) {
  size_t row = 0;
  size_t wanted = 0;
  for (const Segment& segment : segments) {
    const size_t size = segment.words.size();
    const size_t count = NumLogits(segment);
    const MatrixView<float> out = scratch_.normed.Rows(wanted, count);
    const size_t first = row + size - count;
    if (HasTap(segment)) {
      // The tap sees the other rows, too.
      const MatrixView<float> all = scratch_.normed.Rows(row, size);
      NormRows(scratch_.x.Rows(row, size), weights_.final_norm, all);
      Tap(TapPoint::kHeadInput, config_.num_layers(), {&segment, 1}, all);
      if (first != wanted) {
        std::copy_n(scratch_.normed.Row(first).data(), count * all.cols,
                    out.data);
      }
    } else {
      NormRows(scratch_.x.Rows(first, count), weights_.final_norm, out);
    }
    row += size;
    wanted += count;
  }
  return wanted;
}

void Transformer::Logits(std::span<const Segment> segments,
                         MatrixView<float> logits) {
  context_.SetPassRows(0);
  const size_t wanted = HeadInputs(segments);
  if (wanted == 0 || NeededOnly(segments, logits)) return;
  const MatMulJob head = {
      scratch_.normed.Rows(0, wanted), weights_.HeadView(), {}, logits};
  MatMul({&head, 1}, context_);
  // Pieces that keep all threads busy even for one row.
  constexpr size_t kPiece = 4096;
  const size_t pieces = DivideUp(logits.cols, kPiece);
  context_.workers().ForEach(wanted * pieces, [&](size_t task, size_t) {
    const size_t begin = task % pieces * kPiece;
    const size_t size = std::min(kPiece, logits.cols - begin);
    SoftCap(config_.final_logits_soft_cap,
            logits.Row(task / pieces).subspan(begin, size));
  });
}

// If the logits of one row are wanted, and only some of them are needed,
// computes these for the first row of `normed`. Returns false if all must be
// computed.
bool Transformer::NeededOnly(std::span<const Segment> segments,
                             MatrixView<float> logits) {
  const NeededLogits* needed = segments[0].needed;
  if (segments.size() != 1 || needed == nullptr ||
      NumLogits(segments[0]) != 1) {
    return false;
  }
  if (needed->tokens.empty()) return TopLogits(*needed, logits.Row(0));
  TokenLogits(needed->tokens, logits.Row(0));
  return true;
}

// Computes the largest logits, if they are enough and can be found faster than
// all. Only for one row: two rows would read the weights twice.
bool Transformer::TopLogits(const NeededLogits& needed,
                            std::span<float> logits) {
  if (needed.top_k == 0 || needed.top_k > kMaxTopK ||
      !TopProducts::Supports(weights_.HeadView(), context_.arithmetic()) ||
      !top_products_.Pays()) {
    return false;
  }
  return top_products_.Find(scratch_.normed.Row(0), weights_.HeadView(),
                            needed.top_k, config_.final_logits_soft_cap,
                            context_, logits) &&
         (!needed.enough || needed.enough(logits));
}

// Computes the logits of the tokens, and of their neighbours in the same panel.
void Transformer::TokenLogits(std::span<const TokenId> tokens,
                              std::span<float> logits) {
  panels_.clear();
  for (const TokenId token : tokens) {
    const size_t panel = static_cast<size_t>(token) / kPanelRows;
    if (panels_.empty() || panels_.back() != panel) panels_.push_back(panel);
  }
  std::fill(logits.begin(), logits.end(),
            -std::numeric_limits<float>::infinity());
  const MatMulJob head = {scratch_.normed.Rows(0, 1),
                          weights_.HeadView(),
                          {},
                          {logits.data(), 1, logits.size()}};
  MatMulPanels(head, panels_, context_);
  for (const size_t panel : panels_) {
    const size_t row = panel * kPanelRows;
    SoftCap(config_.final_logits_soft_cap,
            logits.subspan(row, std::min(kPanelRows, logits.size() - row)));
  }
}

void Transformer::NormRows(MatrixView<const float> x,
                           std::span<const float> weight,
                           MatrixView<float> out) {
  ForEachRow(context_.workers(), x.rows, [&](size_t r) {
    RmsNorm(x.Row(r), weight, config_.rms_norm_eps, out.Row(r));
  });
}

}  // namespace gemma::internal
