// The state that all copies of a Model share.

#ifndef GEMMA_SRC_SESSION_MODEL_IMPL_H_
#define GEMMA_SRC_SESSION_MODEL_IMPL_H_

#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/model.h"
#include "gemma/session.h"
#include "ops/ops.h"
#include "ops/workers.h"
#include "src/base/internal.h"
#include "src/forward/executor.h"
#include "src/forward/worker_turns.h"
#include "src/model/config/text_prompts.h"
#include "src/model/tensors/finite.h"
#include "src/model/tensors/weights.h"
#include "src/os/mapped_file.h"

namespace gemma {

class Model::Impl {
 public:
  // The executor of all sessions, created at the first call. Never waits for a
  // pass.
  absl::StatusOr<Executor*> executor();

  // The most rows of a pass. It has room for a whole text that is pooled,
  // because such texts are never divided.
  size_t MaxRows() const;

  // Adds to the status of a pass whose numbers are not finite which weight of
  // the model is at fault. Reads all weights, the first time only. Returns
  // other statuses as they are.
  absl::Status WithBadWeight(absl::Status status);

  // The type of cache that `format` means for these weights.
  CacheType CacheTypeOf(CacheFormat format) const;

  ModelConfig config;
  std::vector<MappedFile> files;  // contain packed `weights`
  Weights weights;
  std::vector<NamedWeight> weight_names;
  bool has_weights = false;  // if false, `weights` is only a plan
  absl::StatusOr<Tokenizer> tokenizer = absl::NotFoundError("");
  absl::StatusOr<ChatTemplate> chat_template = absl::NotFoundError("");
  bool has_chat_template = false;  // in the files
  std::vector<std::string> notes;
  std::optional<TextPrompts> prompts;
  std::vector<TensorSummary> tensors;
  size_t prefill_chunk = 0;
  Arithmetic arithmetic = Arithmetic::kFloat32;
  std::shared_ptr<ThreadPool::Impl> pool;
  Workers* workers = nullptr;     // of the pool; to be used within a turn
  size_t num_decode_threads = 0;  // of the workers; see LoadOptions

 private:
  std::mutex mutex_;  // guards executor_ and bad_weight_
  std::unique_ptr<Executor> executor_;
  std::optional<std::string> bad_weight_;  // what WithBadWeight adds
};

}  // namespace gemma

#endif  // GEMMA_SRC_SESSION_MODEL_IMPL_H_
