#include "src/engine/executor.h"

#include <algorithm>

#include "gemma/limits.h"
#include "src/base/status_macros.h"
#include "src/engine/draft_policy.h"

namespace gemma {
namespace {

// Passes of so many are limited by the memory's speed; see LoadOptions.
constexpr size_t kMaxDecodeRows = 16;

}  // namespace

size_t MaxPooledTokens(const ModelConfig& config) {
  return std::min(config.max_context, kMaxEmbedderTokens);
}

absl::StatusOr<std::unique_ptr<Executor>> Executor::Create(
    const ModelConfig& config, const Weights& weights, Workers& workers,
    const Options& options) {
  GEMMA_ASSIGN_OR_RETURN(
      Transformer transformer,
      Transformer::Create(config, weights, options.arithmetic, options.max_rows,
                          workers));
  return std::unique_ptr<Executor>(
      new Executor(std::move(transformer), workers, options));
}

void Executor::Forward(std::span<const Segment> segments,
                       MatrixView<float> logits) {
  const std::lock_guard lock(mutex_);
  ChooseThreads(segments);
  transformer_.Forward(segments, logits);
}

void Executor::Embed(std::span<const Segment> segments, MatrixView<float> out) {
  const std::lock_guard lock(mutex_);
  ChooseThreads(segments);
  transformer_.Embed(segments, out);
}

void Executor::ChooseThreads(std::span<const Segment> segments) {
  size_t rows = 0;
  for (const Segment& segment : segments) rows += segment.words.size();
  workers_.set_max_active(rows <= kMaxDecodeRows ? num_decode_threads_
                                                 : workers_.num_threads());
}

}  // namespace gemma
