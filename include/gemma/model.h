// A model: configuration, weights, tokenizer.

#ifndef GEMMA_MODEL_H_
#define GEMMA_MODEL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/adapter.h"
#include "gemma/chat_template.h"
#include "gemma/export.h"
#include "gemma/model_config.h"
#include "gemma/thread_pool.h"
#include "gemma/tokenizer.h"
#include "gemma/weight_type.h"

namespace gemma {

// The number of keys that RecurrentGemma's local attention sees. With W, the
// file's attention window, DeepMind's own code attends to W earlier positions
// and the current one, and transformers to W positions in all. Other models
// have only one convention.
enum class RecurrentWindow {
  kDeepMind,      // W + 1 keys
  kTransformers,  // W keys
};

// The rounding of activations before they are multiplied with weights.
enum class Activations {
  // No rounding: products and sums are float32. Logits agree with a reference
  // that computes in float32.
  kFloat32,
  // Quantized weights: activations become int8, with one scale for each 32
  // values, except a few that are much larger than the others. Several times
  // faster; changes logits by a mean KL of about 2e-3 nats. Bfloat16 weights:
  // on a CPU with products of bfloat16 (AMX, AVX-512 BF16), activations become
  // bfloat16 in passes of many tokens. Float32 and float16 weights: no
  // rounding.
  kRounded,
};

// The turns that Model::chat_template makes.
enum class TurnSource {
  // Those of the files' chat template. If it makes the same tokens as Gemma's
  // own turns in a few chats, or if they have none: Gemma's own.
  kAutomatic,
  kFile,   // those of the files' chat template
  kGemma,  // Gemma's own
};

// Progress of loading.
struct LoadProgress {
  uint64_t done_bytes = 0;   // weights prepared so far
  uint64_t total_bytes = 0;  // all weights in the files
};

class Model;

// How to load a model, and how its sessions will compute.
struct LoadOptions {
  // Threads that all the model's sessions share; 0: one per core that this
  // process may use, within the quota of its control group.
  size_t num_threads = 0;
  // How many of these threads compute passes of up to 16 tokens; 0: all. Memory
  // speed limits such passes: if a few threads reach it, more threads only slow
  // each other down.
  size_t num_decode_threads = 0;
  // If set, the model computes with the threads of this pool, which other
  // models may share; num_threads must be 0. Loading uses as many threads of
  // its own, so that passes of the others go on.
  std::optional<ThreadPool> thread_pool = {};
  // Used only by RecurrentGemma.
  RecurrentWindow recurrent_window = RecurrentWindow::kDeepMind;
  // Trades exactness for speed.
  Activations activations = Activations::kRounded;
  // Always sum in the same order, for many tokens as for one. Then logits are
  // the same bits for any prefill_chunk. Has an effect only for bfloat16
  // weights, with Activations::kRounded, on CPUs with AMX or AMD's AVX-512
  // BF16, and is slower there.
  bool deterministic = false;
  // The type that matrices are converted to during loading: less memory and
  // more speed for a bfloat16 checkpoint. Quantize (gemma/quantize.h) converts
  // once and writes a file.
  WeightType quantize = WeightType::kKeep;
  // Adapters to merge into the weights. Errors name the file, and the field or
  // tensor that does not fit the model or cannot be merged.
  std::vector<Adapter> adapters;
  // The turns of a chat, unless chat_template_file names others.
  TurnSource turn_source = TurnSource::kAutomatic;
  // Path of a file with a chat template in Jinja; empty: none.
  std::string chat_template_file;
  // The most tokens of a sequence in one pass. Small values are slow; above
  // some hundreds, larger values need more scratch memory and are faster only
  // on some machines.
  size_t prefill_chunk = 256;
  // Called repeatedly by the loading thread. Return false to cancel.
  std::function<bool(const LoadProgress&)> progress;
  // Called once, after all shapes are checked and before memory is allocated
  // for weights. The model already answers config, tokenizer, tensors and
  // MemoryFor, but cannot have sessions. If the function returns an error, Load
  // stops and returns it.
  std::function<absl::Status(const Model&)> before_weights;
  // Do not load weights. The model answers the same questions as in
  // before_weights and cannot have sessions.
  bool skip_weights = false;
};

// Numbers of threads that compute, including the calling thread; see
// LoadOptions.
struct ThreadCounts {
  size_t prefill = 0;  // for passes of many tokens
  size_t decode = 0;   // for passes of up to 16 tokens
};

// Returns the thread counts of a model that is loaded with these options.
GEMMA_EXPORT ThreadCounts ThreadsFor(const LoadOptions& options);

// Description of a tensor in the files.
struct TensorSummary {
  std::string name;           // as in the file
  std::string format;         // for example "Q4_K"
  std::vector<size_t> shape;  // outermost first
  uint64_t bytes = 0;         // in the file
};

struct SessionOptions;  // gemma/session.h

// Bytes of memory that a model needs; see Model::MemoryFor.
struct MemoryUse {
  uint64_t weights = 0;  // packed
  // The part of `weights` that stays in a mapped packed file
  // (gemma/quantize.h). If memory is short, the system drops its pages and
  // reads them again, which is slow. All the rest must fit in memory.
  uint64_t mapped = 0;
  // What decoding a token reads of `weights` and `table`: without embeddings of
  // other tokens, experts that are not used, and the part of an output head in
  // Q8_0 that greedy and top-k decoding leaves out. The speed of memory divided
  // by it is about the speed of decoding at the beginning of a text. 0 for a
  // model that embeds texts.
  uint64_t weights_per_token = 0;
  uint64_t cache = 0;    // of the sessions
  uint64_t scratch = 0;  // of passes, including logits
  // Checkpoints made by SessionOptions::checkpoint_interval. A call of
  // Session::Checkpoint may add one more, up to max_checkpoints.
  uint64_t checkpoints = 0;
  // Tables of per-layer embeddings (Gemma 4) that stay in the mapped file. The
  // system keeps what was read as long as it likes, so the total leaves it out.
  uint64_t table = 0;
  uint64_t table_per_token = 0;  // bytes of the table that a token reads
  // Returns the sum of weights, cache, scratch and checkpoints.
  uint64_t total() const { return weights + cache + scratch + checkpoints; }
};

// A loaded model. Immutable and cheap to copy: copies share what was loaded,
// and so do sessions, engines, embedders, classifiers and taps. The last of
// them frees it. Any number of threads may use a model at the same time.
class GEMMA_EXPORT Model {
 public:
  // Loads a GGUF file (or the first of its parts), a Hugging Face directory, or
  // a gemma.cpp file (.sbs), whose tensors are given their GGUF names. `path`
  // is a path: only the command gemma knows models by name. In a model's folder
  // of Hugging Face's cache (models--OWNER--NAME), loads the snapshot that
  // refs/main names, or else the only one. Files are memory-mapped during
  // loading; a packed file (gemma/quantize.h) stays mapped as long as anything
  // shares the model. If a mapped file is truncated, reading the lost part
  // raises SIGBUS: replace files by renaming. Errors name the file, the field,
  // what was found and what was wanted; see also gemma/error_reason.h.
  static absl::StatusOr<Model> Load(std::string_view path,
                                    LoadOptions options = {});

  ~Model();
  Model(const Model&) noexcept;             // shares what was loaded
  Model& operator=(const Model&) noexcept;  // likewise
  // A moved-from model may only be assigned to or destroyed.
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;

  // Returns the hyperparameters, as read from the files.
  const ModelConfig& config() const;

  // Returns the tokenizer, or FailedPrecondition, which names the file that
  // lacks it. The pointer is valid while a copy of the model, or anything that
  // shares it, exists.
  absl::StatusOr<const Tokenizer*> tokenizer() const;

  // Returns whether the files contain a chat template: the model was tuned to
  // chat.
  bool is_instruction_tuned() const;

  // Returns the template for chats; see LoadOptions::turn_source. Returns an
  // error if the model has no tokenizer, if the vocabulary lacks the markers of
  // Gemma's own turns, or if the files' template cannot be used: such a model
  // still completes texts. The token that ends the template's turns is one of
  // config().stop_tokens.
  absl::StatusOr<ChatTemplate> chat_template() const;

  // Returns the tokens of a prompt as the model is to read it: for an
  // instruction-tuned model, a chat with `text` as the user's turn, and for any
  // other, BOS and `text`, which the model then continues. Names of control
  // tokens in `text` stay text. Fails as tokenizer or chat_template does.
  absl::StatusOr<std::vector<TokenId>> Prompt(std::string_view text) const;

  // Returns a line for each thing that the files state and the model does not
  // follow, or follows against another statement of the files: a tensor that
  // has no use, for example, or an adapter in the model's directory that was
  // not merged. Most models have none.
  const std::vector<std::string>& notes() const;

  // Returns descriptions of the files' tensors, sorted by name.
  const std::vector<TensorSummary>& tensors() const;

  // Returns the memory that the model and num_sessions sessions with these
  // options need. If Session::Create would refuse the options, the cache is
  // 2^62 bytes: more than any machine has.
  MemoryUse MemoryFor(const SessionOptions& options,
                      size_t num_sessions = 1) const;

  // Returns the number of threads that compute, including the calling thread.
  size_t num_threads() const;

  // Internal; see src/session/model_impl.h.
  class Impl;
  // Internal.
  Impl& impl() const { return *impl_; }

 private:
  explicit Model(std::shared_ptr<Impl> impl);
  // As Load, but throws if an allocation fails.
  static absl::StatusOr<Model> LoadOrThrow(std::string_view path,
                                           const LoadOptions& options);
  std::shared_ptr<Impl> impl_;
};

// Returns OK if writing to `output` changes no file of the model at `path`.
// Otherwise InvalidArgument, which names `output` and that file, also if links
// lead to it. A model's files are all files that Load may read and, for a
// directory of Hugging Face or PEFT, all other files in it and its folders,
// except GGUF files. `path` may also be an adapter. If `path` is not a model,
// it has no such files.
GEMMA_EXPORT absl::Status CheckIsNoModelFile(std::string_view output,
                                             std::string_view path);

}  // namespace gemma

#endif  // GEMMA_MODEL_H_
