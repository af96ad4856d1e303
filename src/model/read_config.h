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
#include "src/model/limits.h"

namespace gemma {

// Reads the configuration that the files state. vocab_size, where the files
// have no such key (GGUF), and embedding_scale, unless a GGUF file states it,
// are left zero: they follow from the embedding table.
absl::StatusOr<ModelConfig> ReadConfig(const Checkpoint& checkpoint,
                                       RecurrentWindow window);

// The three sources that ReadConfig chooses from.
absl::StatusOr<ModelConfig> ConfigFromJson(const Checkpoint& checkpoint,
                                           RecurrentWindow window);
absl::StatusOr<ModelConfig> ConfigFromGguf(const Checkpoint& checkpoint,
                                           RecurrentWindow window);
absl::StatusOr<ModelConfig> ConfigFromSbs(const Checkpoint& checkpoint,
                                          RecurrentWindow window);

// Completes the configuration of a model that pools by the directory's modules,
// if it has some. Refuses those that compute something else than Embedder.
absl::Status ReadModuleConfigs(const Checkpoint& checkpoint, ModelConfig& c);

// The query scale of a GGUF file that states none.
float GgufQueryScale(const ModelConfig& config);

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
