// The configuration of a model, from its files.

#ifndef GEMMA_SRC_MODEL_READ_CONFIG_H_
#define GEMMA_SRC_MODEL_READ_CONFIG_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gemma/model.h"
#include "gemma/model_config.h"
#include "src/formats/checkpoint.h"
#include "src/model/conventions.h"
#include "src/model/limits.h"

namespace gemma {

// A configuration while it is read: files say most of what is a layer's once
// for all layers, or once for each kind of attention.
struct ConfigDraft : ModelConfig {
  LayerConfig all;                // what the layers share
  std::vector<BlockType> blocks;  // one per layer
  size_t sliding_window = 0;      // of local layers
  float rope_base_local = 0.0f;   // of local and recurrent layers
  float rope_base_global = 0.0f;
  float rope_factor_global = 1.0f;
};

// The configuration with its layers.
ModelConfig Finished(ConfigDraft draft);

// value^-0.5, the scale of queries whose heads have so many values.
float InverseRoot(size_t value);

// Reads the configuration that the files state. vocab_size, where the files
// have no such key (GGUF), and embedding_scale, unless a GGUF file states it,
// are left zero: they follow from the embedding table.
absl::StatusOr<ModelConfig> ReadConfig(const Checkpoint& checkpoint,
                                       RecurrentWindow window);

// How the checkpoint's files write weights down, whose configuration could be
// read.
Conventions ConventionsOf(const Checkpoint& checkpoint);

// The three sources that ReadConfig chooses from.
absl::StatusOr<ModelConfig> ConfigFromJson(const Checkpoint& checkpoint,
                                           RecurrentWindow window);
absl::StatusOr<ModelConfig> ConfigFromGguf(const Checkpoint& checkpoint,
                                           RecurrentWindow window);
absl::StatusOr<ModelConfig> ConfigFromSbs(const Checkpoint& checkpoint,
                                          RecurrentWindow window);

// Those of the family that a config.json names.
Conventions HfConventionsOf(const Checkpoint& checkpoint);

// Completes the configuration of a model that pools by the directory's modules,
// if it has some. Refuses those that compute something else than Embedder.
absl::Status ReadModuleConfigs(const Checkpoint& checkpoint, ModelConfig& c);

// A key of a GGUF file that belongs to the architecture: "gemma3.block_count".
inline std::string GgufKey(std::string_view architecture,
                           std::string_view key) {
  return absl::StrCat(architecture, ".", key);
}

// The query scale of a GGUF file that states none.
float GgufQueryScale(const ModelConfig& config);

// The layer whose heads a GGUF file's key_length is about: the first that
// attends to all positions, or else to some. Local layers besides global ones
// may have other heads, and then have keys of their own.
const LayerConfig& GgufMainLayer(const ModelConfig& config);
inline constexpr std::string_view kLocalKeyLength = "attention.key_length_swa";
inline constexpr std::string_view kLocalValueLength =
    "attention.value_length_swa";
inline constexpr std::string_view kLocalRotaryDim = "rope.dimension_count_swa";

// Keys of GGUF files that nobody else has: the tokens that begin and end a
// text, where the tokenizer's own keys do not say them all.
inline constexpr std::string_view kBosTokenKey = "gemma.bos_token";
inline constexpr std::string_view kStopTokensKey = "gemma.stop_tokens";

// Keys that RecurrentGemma's local attention sees, for a window of `keys` in
// the file; see RecurrentWindow.
inline size_t RecurrentKeys(size_t keys, RecurrentWindow window) {
  return window == RecurrentWindow::kDeepMind ? keys + 1 : keys;
}

// sliding_window of a bidirectional model whose file says `window`: half of
// that to either side, and the position itself (transformers' Gemma3TextConfig,
// llama.cpp).
inline size_t HalfWindow(size_t window) { return window / 2 + 1; }
// Its inverse, but for an odd window.
inline size_t WholeWindow(size_t half) { return (half - 1) * 2; }

// llama.cpp's number of Pooling::kMean.
inline constexpr size_t kGgufMeanPooling = 1;
// The key of a dense layer's width: "dense_2_feat_in" for the first, as it is
// the third of sentence-transformers' modules. `end`: "in" or "out".
inline std::string GgufDenseKey(size_t index, std::string_view end) {
  return absl::StrCat("dense_", index + 2, "_feat_", end);
}

// The type of each layer.
std::vector<BlockType> BlocksOf(const ModelConfig& config);

// Blocks of which every `period`-th is global and the others local: (l + 1) mod
// period == 0.
std::vector<BlockType> PeriodicBlocks(size_t num_layers, size_t period);

// Blocks that repeat "recurrent" and "attention" in the given order. Fails with
// `where` if another word is in it.
absl::StatusOr<std::vector<BlockType>> RepeatedBlocks(
    const std::vector<std::string>& pattern, size_t num_layers,
    std::string_view where);

}  // namespace gemma

#endif  // GEMMA_SRC_MODEL_READ_CONFIG_H_
