#include "src/forward/executor.h"

#include <algorithm>

#include "gemma/limits.h"
#include "src/base/status_macros.h"

namespace gemma::internal {
namespace {

// Memory speed limits passes of up to this many rows; see LoadOptions.
constexpr size_t kMaxDecodeRows = 16;

// A pass that a thread runs, and the pass around it, because a tap may compute
// with another model.
struct Pass {
  const Executor* executor;
  const Pass* outer;
};
thread_local const Pass* innermost_pass = nullptr;

// While it lives, the thread's innermost pass is one of `executor`.
class PassScope {
 public:
  explicit PassScope(const Executor* executor)
      : pass_{executor, innermost_pass} {
    innermost_pass = &pass_;
  }
  ~PassScope() { innermost_pass = pass_.outer; }
  PassScope(const PassScope&) = delete;
  PassScope& operator=(const PassScope&) = delete;

 private:
  const Pass pass_;
};

}  // namespace

size_t MaxPooledTokens(const ModelConfig& config) {
  return std::min(config.max_context, kMaxEmbedderTokens);
}

absl::StatusOr<std::unique_ptr<Executor>> Executor::Create(
    const ModelConfig& config, const Weights& weights, ThreadPool::Impl& pool,
    const Options& options) {
  GEMMA_ASSIGN_OR_RETURN(
      Transformer transformer,
      Transformer::Create(config, weights, options.arithmetic, options.max_rows,
                          pool.workers()));
  return std::unique_ptr<Executor>(
      new Executor(std::move(transformer), pool, options));
}

absl::Status Executor::Forward(std::span<const Segment> segments,
                               MatrixView<float> logits) {
  return RunPass(segments, [&] { transformer_.Forward(segments, logits); });
}

absl::Status Executor::Embed(std::span<const Segment> segments,
                             MatrixView<float> out) {
  return RunPass(segments, [&] { transformer_.Embed(segments, out); });
}

absl::Status Executor::CheckCaller() const {
  const Pass* pass = innermost_pass;
  while (pass != nullptr && pass->executor != this) pass = pass->outer;
  if (pass == nullptr) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "called by a tap, during a pass of the same model");
}

absl::Status Executor::RunPass(std::span<const Segment> segments,
                               absl::FunctionRef<void()> pass) {
  GEMMA_RETURN_IF_ERROR(CheckCaller());
  ThreadPool::Impl::Turn turn(pool_);
  const PassScope scope(this);
  turn.SetMaxActive(NumThreadsFor(segments));
  pass();
  return absl::OkStatus();
}

size_t Executor::NumThreadsFor(std::span<const Segment> segments) const {
  size_t rows = 0;
  for (const Segment& segment : segments) rows += segment.words.size();
  return rows <= kMaxDecodeRows ? num_decode_threads_
                                : pool_.workers().num_threads();
}

}  // namespace gemma::internal
