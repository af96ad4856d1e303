// Computes the sequences of a model, one pass at a time.

#ifndef GEMMA_SRC_FORWARD_EXECUTOR_H_
#define GEMMA_SRC_FORWARD_EXECUTOR_H_

#include <cstddef>
#include <memory>
#include <span>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/model_config.h"
#include "ops/matrix_view.h"
#include "ops/ops.h"
#include "src/forward/pass_costs.h"
#include "src/forward/segment.h"
#include "src/forward/transformer.h"
#include "src/forward/worker_turns.h"
#include "src/model/tensors/weights.h"

namespace gemma::internal {

// The most tokens of a text that a pooling model can embed.
size_t MaxPooledTokens(const ModelConfig& config);

class Executor {
 public:
  struct Options {
    Arithmetic arithmetic = Arithmetic::kFloat32;
    size_t max_rows = 0;            // most rows of a pass
    size_t num_decode_threads = 0;  // of the workers; see LoadOptions
  };

  // `config`, `weights` and `pool` must outlive the executor. Fails with
  // ResourceExhausted as Transformer::Create does.
  static absl::StatusOr<std::unique_ptr<Executor>> Create(
      const ModelConfig& config, const Weights& weights, ThreadPool::Impl& pool,
      const Options& options);

  // As Transformer::Forward, in a turn of the pool.
  // Fails only as CheckCaller does, before anything is computed. Throws what
  // the functions of the segments throw; the pass is then incomplete.
  absl::Status Forward(std::span<const Segment> segments,
                       MatrixView<float> logits);

  // As Transformer::Embed. Takes a turn as Forward does.
  absl::Status Embed(std::span<const Segment> segments, MatrixView<float> out);

  // FailedPrecondition if the calling thread is in a pass of the executor, for
  // example in a tap: it can then neither compute another pass nor change a
  // sequence.
  absl::Status CheckCaller() const;

  // The threads that compute, and whose turn it is.
  const ThreadPool::Impl& pool() const { return pool_; }

  // The most rows of a pass.
  size_t max_rows() const { return transformer_.max_rows(); }
  // As Transformer::few_rows.
  size_t few_rows() const { return transformer_.few_rows(); }

  // The costs of passes that sessions have measured; see Generate.
  SharedPassCosts& pass_costs() { return pass_costs_; }

 private:
  Executor(Transformer transformer, ThreadPool::Impl& pool,
           const Options& options)
      : transformer_(std::move(transformer)),
        pool_(pool),
        num_decode_threads_(options.num_decode_threads) {}

  absl::Status RunPass(std::span<const Segment> segments,
                       absl::FunctionRef<void()> pass);

  // How many threads compute the pass.
  size_t NumThreadsFor(std::span<const Segment> segments) const;

  Transformer transformer_;  // used within a turn
  ThreadPool::Impl& pool_;
  const size_t num_decode_threads_;
  SharedPassCosts pass_costs_;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORWARD_EXECUTOR_H_
