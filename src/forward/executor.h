// Computes the sequences of a model, one pass at a time.

#ifndef GEMMA_SRC_FORWARD_EXECUTOR_H_
#define GEMMA_SRC_FORWARD_EXECUTOR_H_

#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/model_config.h"
#include "ops/matrix_view.h"
#include "ops/ops.h"
#include "ops/workers.h"
#include "src/forward/pass_costs.h"
#include "src/forward/segment.h"
#include "src/forward/transformer.h"
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

  // `config`, `weights` and `workers` must outlive the executor. Fails with
  // ResourceExhausted as Transformer::Create does.
  static absl::StatusOr<std::unique_ptr<Executor>> Create(
      const ModelConfig& config, const Weights& weights, Workers& workers,
      const Options& options);

  // As Transformer::Forward. Threads that call it at the same time take turns.
  // Fails only as CheckCaller does, before anything is computed. Throws what
  // the functions of the segments throw; the pass is then incomplete.
  absl::Status Forward(std::span<const Segment> segments,
                       MatrixView<float> logits);

  // As Transformer::Embed. Takes turns with Forward.
  absl::Status Embed(std::span<const Segment> segments, MatrixView<float> out);

  // Whether the calling thread is in a pass of `executor`, for example in a
  // tap. The executor may no longer exist.
  static bool InPassOf(const Executor* executor);

  // FailedPrecondition if the calling thread is in a pass of the executor: it
  // can then neither compute another pass nor change a sequence.
  absl::Status CheckCaller() const;

  // The most rows of a pass.
  size_t max_rows() const { return transformer_.max_rows(); }
  // As Transformer::few_rows.
  size_t few_rows() const { return transformer_.few_rows(); }

  // The costs of passes that sessions have measured; see Generate.
  SharedPassCosts& pass_costs() { return pass_costs_; }

 private:
  Executor(Transformer transformer, Workers& workers, const Options& options)
      : transformer_(std::move(transformer)),
        workers_(workers),
        num_decode_threads_(options.num_decode_threads) {}

  absl::Status RunPass(std::span<const Segment> segments,
                       absl::FunctionRef<void()> pass);

  // Sets how many threads compute the pass.
  void ChooseThreads(std::span<const Segment> segments);

  std::mutex mutex_;  // held during a pass
  Transformer transformer_;
  Workers& workers_;
  const size_t num_decode_threads_;
  SharedPassCosts pass_costs_;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORWARD_EXECUTOR_H_
