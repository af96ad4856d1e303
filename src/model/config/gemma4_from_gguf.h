// Gemma 4 and EmbeddingGemma 2 from GGUF metadata. The keys are llama.cpp's.

#ifndef GEMMA_SRC_MODEL_CONFIG_GEMMA4_FROM_GGUF_H_
#define GEMMA_SRC_MODEL_CONFIG_GEMMA4_FROM_GGUF_H_

#include <string_view>

#include "absl/status/status.h"
#include "src/formats/checkpoint.h"
#include "src/model/config/gguf_keys.h"
#include "src/model/config/read_config.h"

namespace gemma::internal {

// Whether the architecture is one of the two.
bool IsGemma4(std::string_view architecture);

// Reads what is the same in all layers, but for `blocks`, which must be set.
absl::Status ReadGemma4(const KeyReader& keys, const Checkpoint& checkpoint,
                        ConfigDraft& c);

// Reads what differs between layers into `c`, whose layers have the sizes that
// the keys of all architectures state.
absl::Status ReadGemma4Layers(const KeyReader& keys,
                              const Checkpoint& checkpoint, ModelConfig& c);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_CONFIG_GEMMA4_FROM_GGUF_H_
