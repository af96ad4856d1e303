// Gemma 4 and EmbeddingGemma 2 from Hugging Face's config.json. Keys and
// defaults are those of transformers' configuration classes.

#ifndef GEMMA_SRC_MODEL_CONFIG_GEMMA4_FROM_JSON_H_
#define GEMMA_SRC_MODEL_CONFIG_GEMMA4_FROM_JSON_H_

#include "absl/status/status.h"
#include "src/base/json.h"
#include "src/model/config/read_config.h"

namespace gemma::internal {

// Reads Gemma4TextConfig, which has two spellings of what differs between
// layers: global_head_dim and num_global_key_value_heads, as published, and
// per_layer_config, as transformers saves it. Fills in the layers.
absl::Status ReadGemma4(const Json& json, ConfigDraft& c);

// As ReadGemma4, for Gemma4UnifiedTextConfig, which has neither experts nor
// per-layer embeddings.
absl::Status ReadGemma4Unified(const Json& json, ConfigDraft& c);

// As ReadGemma4, for EmbeddingGemma2TextConfig, whose window is a radius.
absl::Status ReadEmbeddingGemma2(const Json& json, ConfigDraft& c);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_CONFIG_GEMMA4_FROM_JSON_H_
