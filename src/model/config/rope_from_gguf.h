// The RoPE parameters of a GGUF file: llama.cpp's keys, and for Gemma 3 those
// of Ollama.

#ifndef GEMMA_SRC_MODEL_CONFIG_ROPE_FROM_GGUF_H_
#define GEMMA_SRC_MODEL_CONFIG_ROPE_FROM_GGUF_H_

#include <cstddef>

#include "absl/status/status.h"
#include "src/model/config/gguf_keys.h"
#include "src/model/config/read_config.h"

namespace gemma::internal {

// Reads base and scaling of a model whose layers all have the same, except that
// local layers may have their own base.
absl::Status ReadOneRope(const KeyReader& keys, ConfigDraft& c);

// Reads those of Gemma 3, where only global layers are scaled. Call it after
// the window and the caps of `c` are set: Ollama's first files state wrong
// values, which this corrects with a note.
absl::Status ReadTwoRopes(const KeyReader& keys, size_t num_layers,
                          ConfigDraft& c);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_CONFIG_ROPE_FROM_GGUF_H_
