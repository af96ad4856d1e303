#include "src/engine/executor.h"

#include <memory>
#include <mutex>

#include "src/engine/draft_policy.h"
#include "src/formats/status_macros.h"

namespace gemma {
namespace {

// Passes of so many are limited by the memory's speed; see LoadOptions.
constexpr size_t kMaxDecodeRows = 16;

}  // namespace

absl::StatusOr<Executor*> Executor::For(Model::Impl& model) {
  const std::lock_guard lock(model.executor_mutex);
  if (model.executor == nullptr) {
    GEMMA_ASSIGN_OR_RETURN(
        Transformer transformer,
        Transformer::Create(model.config, model.weights, model.arithmetic,
                            model.prefill_chunk, *model.workers));
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
  size_t rows = 0;
  for (const Segment& segment : segments) rows += segment.tokens.size();
  model_.workers->set_max_active(rows <= kMaxDecodeRows
                                     ? model_.num_decode_threads
                                     : model_.workers->num_threads());
  transformer_.Forward(segments, logits);
}

// Declared in gemma/model.h; here because this room knows the sizes.
MemoryUse Model::MemoryFor(const SessionOptions& options) const {
  const Impl& model = *impl_;
  const SequenceLimits limits = {
      options.max_tokens, options.max_rollback, model.prefill_chunk,
      Executor::CacheTypeOf(options.cache_format, model.weights)};
  MemoryUse use;
  use.weights = model.weights.bytes;
  use.cache = SequenceState::Bytes(model.config, limits);
  use.scratch =
      Transformer::ScratchBytes(model.config, model.prefill_chunk,
                                model.workers->num_threads()) +
      // The session's logits, and those of a draft; see generate.h.
      (DraftPolicy::kMaxDraft + 2) * model.config.vocab_size * sizeof(float);
  return use;
}

}  // namespace gemma
