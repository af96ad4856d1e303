#include "src/engine/executor.h"

#include <algorithm>
#include <memory>
#include <mutex>

#include "gemma/limits.h"
#include "src/base/status_macros.h"
#include "src/engine/draft_policy.h"

namespace gemma {
namespace {

// Passes of so many are limited by the memory's speed; see LoadOptions.
constexpr size_t kMaxDecodeRows = 16;

// Rows that a pass must hold: a text that is pooled is never divided.
size_t MaxRows(const Model::Impl& model) {
  if (model.config.pooling == Pooling::kNone) return model.prefill_chunk;
  return std::max(model.prefill_chunk, MaxPooledTokens(model.config));
}

}  // namespace

size_t MaxPooledTokens(const ModelConfig& config) {
  return std::min(config.max_context, kMaxEmbedderTokens);
}

absl::StatusOr<Executor*> Executor::For(Model::Impl& model) {
  const std::lock_guard lock(model.executor_mutex);
  if (model.executor == nullptr) {
    GEMMA_ASSIGN_OR_RETURN(
        Transformer transformer,
        Transformer::Create(model.config, model.weights, model.arithmetic,
                            MaxRows(model), *model.workers));
    model.executor.reset(new Executor(model, std::move(transformer)));
  }
  return static_cast<Executor*>(model.executor.get());
}

CacheType Executor::CacheTypeOf(CacheFormat format, const Weights& weights) {
  if (format == CacheFormat::kFloat32) return CacheType::kF32;
  if (format == CacheFormat::kBFloat16) return CacheType::kBF16;
  if (format == CacheFormat::kInt8) return CacheType::kI8;
  return weights.embedding.view.layout == Layout::kF32 ? CacheType::kF32
                                                       : CacheType::kBF16;
}

void Executor::Forward(std::span<const Segment> segments,
                       MatrixView<float> logits) {
  const std::lock_guard lock(model_.executor_mutex);
  ChooseThreads(segments);
  transformer_.Forward(segments, logits);
}

void Executor::Embed(std::span<const Segment> segments, MatrixView<float> out) {
  const std::lock_guard lock(model_.executor_mutex);
  ChooseThreads(segments);
  transformer_.Embed(segments, out);
}

void Executor::ChooseThreads(std::span<const Segment> segments) {
  size_t rows = 0;
  for (const Segment& segment : segments) rows += segment.words.size();
  model_.workers->set_max_active(rows <= kMaxDecodeRows
                                     ? model_.num_decode_threads
                                     : model_.workers->num_threads());
}

// Declared in gemma/session.h.
CacheFormat CacheFormatFor(const Model& model, CacheFormat format) {
  const CacheType type = Executor::CacheTypeOf(format, model.impl().weights);
  if (type == CacheType::kF32) return CacheFormat::kFloat32;
  return type == CacheType::kI8 ? CacheFormat::kInt8 : CacheFormat::kBFloat16;
}

// Declared in gemma/model.h; here because this room knows the sizes.
MemoryUse Model::MemoryFor(const SessionOptions& options,
                           size_t num_sessions) const {
  const Impl& model = *impl_;
  const size_t max_rows = MaxRows(model);
  const bool pools = model.config.pooling != Pooling::kNone;
  const SequenceLimits limits = {
      options.max_tokens, options.max_rollback, max_rows,
      pools ? CacheType::kF32
            : Executor::CacheTypeOf(options.cache_format, model.weights)};
  MemoryUse use;
  use.weights = model.weights.bytes;
  use.cache = num_sessions * SequenceState::Bytes(model.config, limits);
  use.scratch = Transformer::ScratchBytes(model.config, max_rows,
                                          model.workers->num_threads());
  if (!pools) {
    // The sessions' logits, and those of a draft; see generate.h.
    use.scratch += (DraftPolicy::kMaxDraft + 1 + num_sessions) *
                   model.config.vocab_size * sizeof(float);
  }
  return use;
}

}  // namespace gemma
