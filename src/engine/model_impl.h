// What is behind Model's pointer.

#ifndef GEMMA_SRC_ENGINE_MODEL_IMPL_H_
#define GEMMA_SRC_ENGINE_MODEL_IMPL_H_

#include <memory>
#include <mutex>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/model.h"
#include "ops/ops.h"
#include "ops/workers.h"
#include "src/model/weights.h"
#include "src/os/mapped_file.h"

namespace gemma {

class Model::Impl {
 public:
  // What the executor keeps for all sessions of a model. This room knows of it
  // only that it ends with the model.
  struct Executor {
    virtual ~Executor() = default;
  };

  ModelConfig config;
  std::vector<MappedFile> files;  // those that `weights` lie in
  Weights weights;
  bool has_weights = false;  // else `weights` is but a plan
  absl::StatusOr<Tokenizer> tokenizer = absl::NotFoundError("");
  bool has_chat_template = false;
  std::vector<TensorSummary> tensors;
  size_t prefill_chunk = 0;
  Arithmetic arithmetic = Arithmetic::kFloat32;
  std::unique_ptr<Workers> workers;
  size_t num_decode_threads = 0;  // of the workers; see LoadOptions

  std::mutex executor_mutex;  // guards `executor` and whoever computes with it
  std::unique_ptr<Executor> executor;
};

}  // namespace gemma

#endif  // GEMMA_SRC_ENGINE_MODEL_IMPL_H_
