// Gemma 3n, from Hugging Face's config.json (keys and defaults of transformers'
// Gemma3nTextConfig) and from GGUF metadata (keys of llama.cpp).

#ifndef GEMMA_SRC_MODEL_CONFIG_GEMMA3N_H_
#define GEMMA_SRC_MODEL_CONFIG_GEMMA3N_H_

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"
#include "src/base/json.h"
#include "src/formats/checkpoint.h"
#include "src/model/config/gguf_keys.h"
#include "src/model/config/read_config.h"

namespace gemma::internal {

inline constexpr std::string_view kGemma3n = "gemma3n";

// Reads all fields of the text model, and fills in the layers.
absl::Status ReadGemma3n(const Json& json, ConfigDraft& c);

// Reads what is the same in all layers, but for `blocks`, which must be set.
absl::Status ReadGemma3n(const KeyReader& keys, const Checkpoint& checkpoint,
                         ConfigDraft& c);

// Reads what differs between layers into `c`, whose layers have the sizes that
// the keys of all architectures state.
absl::Status ReadGemma3nLayers(const KeyReader& keys, ModelConfig& c);

// The GGUF key of LayerConfig::gate_cutoff, with -infinity for no value, and
// those of AltUp's streams.
inline constexpr std::string_view kCutoffKey = "activation_sparsity_scale";
inline constexpr std::string_view kActiveStreamKey = "altup.active_idx";
inline constexpr std::string_view kStreamsKey = "altup.num_inputs";

// Returns the z that a standard normal variable stays below with the
// probability p, 0 < p < 1.
double NormalQuantile(double p);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_CONFIG_GEMMA3N_H_
