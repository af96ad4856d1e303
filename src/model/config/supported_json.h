// What config.json states about a model besides its sizes, and whether this
// library computes it.

#ifndef GEMMA_SRC_MODEL_CONFIG_SUPPORTED_JSON_H_
#define GEMMA_SRC_MODEL_CONFIG_SUPPORTED_JSON_H_

#include <string_view>

#include "absl/status/status.h"
#include "src/base/json.h"
#include "src/model/config/read_config.h"

namespace gemma::internal {

// Returns an error that names the method, if the weights are quantized in a way
// that only other programs know. mlx writes its parameters under either key.
absl::Status CheckNotQuantized(const Json& json);

// Refuses features that this engine does not compute, instead of silently
// ignoring them.
absl::Status CheckSupported(const Json& json, std::string_view model_type);

// Refuses a model whose last step is not what this library computes. Adds a
// note for one whose files say that it has no head.
absl::Status CheckTask(const Json& json, ConfigDraft& c);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_CONFIG_SUPPORTED_JSON_H_
