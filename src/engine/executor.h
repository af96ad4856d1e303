// The part of a model that computes, shared by its sessions.

#ifndef GEMMA_SRC_ENGINE_EXECUTOR_H_
#define GEMMA_SRC_ENGINE_EXECUTOR_H_

#include <cstddef>
#include <span>
#include <utility>

#include "absl/status/statusor.h"
#include "gemma/session.h"
#include "ops/matrix_view.h"
#include "src/engine/batch.h"
#include "src/engine/model_impl.h"
#include "src/engine/sequence_state.h"
#include "src/engine/transformer.h"

namespace gemma {

// Tokens of a text that a model that pools embeds at most.
size_t MaxPooledTokens(const ModelConfig& config);

class Executor : public Model::Impl::Executor {
 public:
  // The executor of the model, made on first use.
  static absl::StatusOr<Executor*> For(Model::Impl& model);

  // The type of cache that a session's option means for these weights.
  static CacheType CacheTypeOf(CacheFormat format, const Weights& weights);

  // As Transformer::Forward; sessions that call it at once take turns.
  void Forward(std::span<const Segment> segments, MatrixView<float> logits);

  // As Transformer::Embed, and in turns with Forward.
  void Embed(std::span<const Segment> segments, MatrixView<float> out);

  // Rows of one pass, at most.
  size_t max_rows() const { return transformer_.max_rows(); }
  // As Transformer::few_rows.
  size_t few_rows() const { return transformer_.few_rows(); }

 private:
  Executor(Model::Impl& model, Transformer transformer)
      : model_(model), transformer_(std::move(transformer)) {}

  // Lets as many threads compute as the pass is worth.
  void ChooseThreads(std::span<const Segment> segments);

  Model::Impl& model_;
  Transformer transformer_;
};

}  // namespace gemma

#endif  // GEMMA_SRC_ENGINE_EXECUTOR_H_
