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
#include "src/engine/sequence_state.h"
#include "src/engine/transformer.h"
#include "src/model/model_impl.h"

namespace gemma {

class Executor : public Model::Impl::Executor {
 public:
  // The executor of the model, made on first use.
  static absl::StatusOr<Executor*> For(Model::Impl& model);

  // The type of cache that a session's option means for these weights.
  static CacheType CacheTypeOf(CacheFormat format, const Weights& weights);

  // As Transformer::Forward; sessions that call it at once take turns.
  void Forward(std::span<const Segment> segments, MatrixView<float> logits);

  // Rows of one pass, at most.
  size_t max_rows() const { return transformer_.max_rows(); }
  // As Transformer::few_rows.
  size_t few_rows() const { return transformer_.few_rows(); }

 private:
  Executor(Model::Impl& model, Transformer transformer)
      : model_(model), transformer_(std::move(transformer)) {}

  Model::Impl& model_;
  Transformer transformer_;
};

}  // namespace gemma

#endif  // GEMMA_SRC_ENGINE_EXECUTOR_H_
