// Where the sequences of a model are computed, one pass at a time.

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
#include "src/model/weights.h"

namespace gemma::internal {

// Tokens of a text that a model that pools embeds at most.
size_t MaxPooledTokens(const ModelConfig& config);

class Executor {
 public:
  struct Options {
    Arithmetic arithmetic = Arithmetic::kFloat32;
    size_t max_rows = 0;            // of one pass, at most
    size_t num_decode_threads = 0;  // of the workers; see LoadOptions
  };

  // All must outlive the executor. ResourceExhausted as Transformer::Create.
  static absl::StatusOr<std::unique_ptr<Executor>> Create(
      const ModelConfig& config, const Weights& weights, Workers& workers,
      const Options& options);

  // As Transformer::Forward; threads that call it at once take turns. If it
  // fails, as CheckCaller, nothing was computed. Throws what functions of the
  // segments throw: the pass then ended in its midst.
  absl::Status Forward(std::span<const Segment> segments,
                       MatrixView<float> logits);

  // As Transformer::Embed, and in turns with Forward.
  absl::Status Embed(std::span<const Segment> segments, MatrixView<float> out);

  // Whether the calling thread is in a pass of `executor`, in a tap for
  // example. The executor need no longer exist.
  static bool InPassOf(const Executor* executor);

  // FailedPrecondition if the calling thread is in a pass: it can neither
  // compute another nor change a sequence.
  absl::Status CheckCaller() const;

  // Rows of one pass, at most.
  size_t max_rows() const { return transformer_.max_rows(); }
  // As Transformer::few_rows.
  size_t few_rows() const { return transformer_.few_rows(); }

  // What sessions have measured of its passes; see Generate.
  SharedPassCosts& pass_costs() { return pass_costs_; }

 private:
  Executor(Transformer transformer, Workers& workers, const Options& options)
      : transformer_(std::move(transformer)),
        workers_(workers),
        num_decode_threads_(options.num_decode_threads) {}

  absl::Status RunPass(std::span<const Segment> segments,
                       absl::FunctionRef<void()> pass);

  // Lets as many threads compute as the pass is worth.
  void ChooseThreads(std::span<const Segment> segments);

  std::mutex mutex_;  // whoever computes has it
  Transformer transformer_;
  Workers& workers_;
  const size_t num_decode_threads_;
  SharedPassCosts pass_costs_;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORWARD_EXECUTOR_H_
