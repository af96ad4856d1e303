// Reads the configuration of a model from its files.

#ifndef GEMMA_SRC_MODEL_CONFIG_READ_CONFIG_H_
#define GEMMA_SRC_MODEL_CONFIG_READ_CONFIG_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gemma/model.h"
#include "gemma/model_config.h"
#include "src/formats/checkpoint.h"
#include "src/model/config/conventions.h"
#include "src/model/config/limits.h"

namespace gemma::internal {

// Lines for Model::notes. Each begins with the file.
using Notes = std::vector<std::string>;

// A configuration while it is being read. Files state most properties of layers
// once for all layers, or once for each kind of attention.
struct ConfigDraft : ModelConfig {
  LayerConfig all;                // properties that the layers share
  std::vector<BlockType> blocks;  // one per layer
  Notes notes;                    // on what has no effect here
  size_t sliding_window = 0;      // of local layers
  float rope_base_local = 0.0f;   // of local and recurrent layers
  float rope_base_global = 0.0f;
  float rope_factor_local = 1.0f;
  float rope_factor_global = 1.0f;
};

// If the draft has no layers yet, makes them from its shared sizes and
// `blocks`.
void FillLayers(ConfigDraft& draft);

// Returns the configuration with its layers filled in. Moves the draft's notes
// to the end of `notes`, if it is not null.
ModelConfig Finished(ConfigDraft draft, Notes* notes = nullptr);

// value^-0.5, the scale of queries whose heads have `value` values.
float InverseRoot(size_t value);

// Reads the configuration that the files state. Leaves vocab_size zero if the
// files have no such key (GGUF), and embedding_scale zero if no GGUF file
// states it: both are computed from the embedding table later. Adds to `notes`,
// if it is not null.
absl::StatusOr<ModelConfig> ReadConfig(const Checkpoint& checkpoint,
                                       RecurrentWindow window,
                                       Notes* notes = nullptr);

// How the checkpoint's files store weights. ReadConfig must have succeeded.
Conventions ConventionsOf(const Checkpoint& checkpoint);

// The three sources that ReadConfig chooses from.
absl::StatusOr<ModelConfig> ConfigFromJson(const Checkpoint& checkpoint,
                                           RecurrentWindow window,
                                           Notes* notes);
absl::StatusOr<ModelConfig> ConfigFromGguf(const Checkpoint& checkpoint,
                                           RecurrentWindow window,
                                           Notes* notes);
absl::StatusOr<ModelConfig> ConfigFromSbs(const Checkpoint& checkpoint,
                                          RecurrentWindow window);

// Conventions of the family that config.json names.
Conventions HfConventionsOf(const Checkpoint& checkpoint);

// Conventions of the architecture that a GGUF file names.
Conventions GgufConventionsOf(const Checkpoint& checkpoint);

// Completes the configuration of a model that pools from the modules in its
// directory, if there are any. Refuses modules that Embedder does not compute.
absl::Status ReadModuleConfigs(const Checkpoint& checkpoint, ModelConfig& c);

// The GGUF key of an architecture, for instance "gemma3.block_count".
inline std::string GgufKey(std::string_view architecture,
                           std::string_view key) {
  return absl::StrCat(architecture, ".", key);
}

// Whether an architecture or type of model is called a Gemma.
bool IsOfFamily(std::string_view name);

// The query scale of a GGUF file that does not state it.
float GgufQueryScale(const ModelConfig& config);

// The layer whose heads the GGUF key attention.key_length describes: the first
// global one, or else the first local one, or else the first. In a model with
// global layers, local layers may have other heads, described by the keys
// below.
const LayerConfig& GgufMainLayer(const ModelConfig& config);
inline constexpr std::string_view kLocalKeyLength = "attention.key_length_swa";
inline constexpr std::string_view kLocalValueLength =
    "attention.value_length_swa";
inline constexpr std::string_view kLocalRotaryDim = "rope.dimension_count_swa";

// The key of ModelConfig::suppress_tokens in GGUF files.
inline constexpr std::string_view kSuppressTokensKey =
    "tokenizer.ggml.suppress_tokens";

// Our own GGUF keys: the tokens that begin and end a text, where the standard
// tokenizer keys cannot state all of them.
inline constexpr std::string_view kBosTokenKey = "gemma.bos_token";
inline constexpr std::string_view kStopTokensKey = "gemma.stop_tokens";

// Keys of our own files, after "<architecture>.".
inline constexpr std::string_view kExactGeluKey = "exact_gelu";  // a bool
inline constexpr std::string_view kEmbeddingScaleKey = "embedding_scale";
inline constexpr std::string_view kPerLayerScaleKey = "per_layer_scale";

// The number of keys that RecurrentGemma's local attention sees if the file's
// window is `keys`; see RecurrentWindow.
inline size_t RecurrentKeys(size_t keys, RecurrentWindow window) {
  return window == RecurrentWindow::kDeepMind ? keys + 1 : keys;
}

// sliding_window of a bidirectional model whose file states `window`: half of
// that to each side, plus the position itself (transformers' Gemma3TextConfig,
// llama.cpp).
inline size_t HalfWindow(size_t window) { return window / 2 + 1; }
// Inverse of HalfWindow for even windows.
inline size_t WholeWindow(size_t half) { return (half - 1) * 2; }

// llama.cpp's number of Pooling::kMean.
inline constexpr size_t kGgufMeanPooling = 1;
// The key of a dense layer's width. The first layer's is "dense_2_feat_in",
// because it is the third of sentence-transformers' modules. `end`: "in" or
// "out".
inline std::string GgufDenseKey(size_t index, std::string_view end) {
  return absl::StrCat("dense_", index + 2, "_feat_", end);
}

// The type of each layer.
std::vector<BlockType> BlocksOf(const ModelConfig& config);

// Returns blocks of which every `period`-th is global, where (l + 1) mod period
// == 0, and the others local.
std::vector<BlockType> PeriodicBlocks(size_t num_layers, size_t period);

// Returns blocks that repeat `pattern`, a list of "recurrent" and "attention".
// If it is empty or holds another word, returns an error that begins with
// `where`.
absl::StatusOr<std::vector<BlockType>> RepeatedBlocks(
    const std::vector<std::string>& pattern, size_t num_layers,
    std::string_view where);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_CONFIG_READ_CONFIG_H_
