// A model: configuration, weights, tokenizer.

#ifndef GEMMA_MODEL_H_
#define GEMMA_MODEL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/export.h"
#include "gemma/model_config.h"
#include "gemma/tokenizer.h"
#include "gemma/weight_type.h"

namespace gemma {

// How many keys RecurrentGemma's local attention sees. DeepMind's own code
// attends to W earlier positions and the current one, transformers to W in all,
// W being the file's attention window. Other models have one convention.
enum class RecurrentWindow {
  kDeepMind,      // W + 1 keys
  kTransformers,  // W keys
};

// What activations are rounded to before they are multiplied with weights.
enum class Activations {
  // Nothing: products and sums are float32, and logits those of a reference
  // that computes in float32.
  kFloat32,
  // Where weights are quantized: int8, one scale for each 32. Several times
  // faster; moves logits by a mean KL of about 3e-3 nats. Where the CPU has
  // tiles for bfloat16 (AMX): many tokens at once are rounded to that instead,
  // for bfloat16 weights too. Where it has dot products for it (AVX-512 BF16):
  // for bfloat16 weights only. Float32 and float16 weights: not at all.
  kRounded,
};

// How far loading is.
struct LoadProgress {
  uint64_t done_bytes = 0;   // of weights prepared so far
  uint64_t total_bytes = 0;  // of weights in the files
};

class Model;

// How to load a model, and how its sessions will compute.
struct LoadOptions {
  // Threads of all the model's sessions together; 0: one per core that this
  // process may use, within its control group's quota.
  size_t num_threads = 0;
  // Of them, those that compute passes of up to 16 tokens, which the memory's
  // speed limits: where a few threads reach it, more only get in the way. 0:
  // all.
  size_t num_decode_threads = 0;
  // For RecurrentGemma only.
  RecurrentWindow recurrent_window = RecurrentWindow::kDeepMind;
  // Speed or exactness.
  Activations activations = Activations::kRounded;
  // Never use what adds in another order for many tokens than for one. Then
  // logits are the same bits for any prefill_chunk. Costs speed only on CPUs
  // with tiles, and changes nothing for Activations::kFloat32.
  bool deterministic = false;
  // What the files' matrices become while they are loaded: for a checkpoint in
  // bfloat16, less memory and more speed. Quantize (gemma/quantize.h) does it
  // once and for all.
  WeightType quantize = WeightType::kKeep;
  // Tokens of a sequence that one pass takes at most. Few are slow; beyond some
  // hundreds, more need more scratch and are faster only on some machines.
  size_t prefill_chunk = 256;
  // Called now and then from the loading thread; returning false cancels.
  std::function<bool(const LoadProgress&)> progress;
  // Called once, when all shapes were checked and before memory is taken for
  // weights: config, tokenizer, tensors and MemoryFor answer already. An error
  // ends the loading, and is its result. The model has no sessions yet.
  std::function<absl::Status(const Model&)> before_weights;
  // Stop there: the model tells what it is and what it would take, and has no
  // sessions.
  bool skip_weights = false;
};

// Threads that compute, the calling one included; see LoadOptions.
struct ThreadCounts {
  size_t prefill = 0;  // passes of many tokens
  size_t decode = 0;   // passes of up to 16
};

// Those of a model that these options load.
GEMMA_EXPORT ThreadCounts ThreadsFor(const LoadOptions& options);

// What one tensor of the files is.
struct TensorSummary {
  std::string name;           // as in the file
  std::string format;         // for example "Q4_K"
  std::vector<size_t> shape;  // outermost first
  uint64_t bytes = 0;         // in the file
};

struct SessionOptions;  // gemma/session.h

// Bytes that a model takes in memory; see Model::MemoryFor.
struct MemoryUse {
  uint64_t weights = 0;  // packed
  uint64_t cache = 0;    // of the sessions
  uint64_t scratch = 0;  // of passes, and for logits
  // The checkpoints that SessionOptions::checkpoint_interval makes. A call of
  // Session::Checkpoint may add one more, up to max_checkpoints.
  uint64_t checkpoints = 0;
  // All of it.
  uint64_t total() const { return weights + cache + scratch + checkpoints; }
};

// A loaded model, immutable and cheap to copy: copies share what was loaded,
// and so do its sessions, engines, embedders, classifiers and taps. It is freed
// with the last of them. Any number of threads may use one model.
class GEMMA_EXPORT Model {
 public:
  // Loads a GGUF file (or the first of its parts), a Hugging Face directory, or
  // a file of gemma.cpp (.sbs), whose tensors get GGUF's names.
  // Files are mapped while they are loaded, and a packed one (gemma/quantize.h)
  // as long as anything uses the model. A part that is cut off meanwhile raises
  // SIGBUS where it is read: replace files by renaming.
  // Errors name file, field, what was found and what was wanted; see also
  // gemma/error_reason.h.
  static absl::StatusOr<Model> Load(std::string_view path,
                                    LoadOptions options = {});

  ~Model();
  Model(const Model&) noexcept;             // shares it
  Model& operator=(const Model&) noexcept;  // as above
  // A model that was moved from may only be assigned to or destroyed.
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;

  // The hyperparameters, as read from the files.
  const ModelConfig& config() const;

  // The tokenizer, or FailedPrecondition saying which file lacks it. The
  // pointer is good while any copy of the model or anything that shares it
  // lives.
  absl::StatusOr<const Tokenizer*> tokenizer() const;

  // Whether the files carry a chat template: the model was tuned to chat.
  bool is_instruction_tuned() const;

  // Turns for chatting, or an error if there is no tokenizer or it has no turn
  // markers.
  absl::StatusOr<ChatTemplate> chat_template() const;

  // What the files hold, in their order.
  const std::vector<TensorSummary>& tensors() const;

  // What the model and num_sessions sessions of these options take. With
  // options that no session may have, the cache takes 2^62 bytes: more than
  // any memory has.
  MemoryUse MemoryFor(const SessionOptions& options,
                      size_t num_sessions = 1) const;

  // Threads that compute, the calling one included.
  size_t num_threads() const;

  // The library's own; see src/session/model_impl.h.
  class Impl;
  // The library's own.
  Impl& impl() const { return *impl_; }

 private:
  explicit Model(std::shared_ptr<Impl> impl);
  // As Load, but throws if an allocation fails.
  static absl::StatusOr<Model> LoadOrThrow(std::string_view path,
                                           const LoadOptions& options);
  std::shared_ptr<Impl> impl_;
};

// OK if writing to `output` changes no file of the model at `path`, or
// InvalidArgument that names `output` and the file which it is, also by way of
// links. A model's files are those that Load may read and, in a Hugging Face
// directory and its folders, all others but GGUF files. What is no model has
// none.
GEMMA_EXPORT absl::Status CheckIsNoModelFile(std::string_view output,
                                             std::string_view path);

}  // namespace gemma

#endif  // GEMMA_MODEL_H_
