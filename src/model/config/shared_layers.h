// The layers of models whose last layers read keys and values of earlier ones.

#ifndef GEMMA_SRC_MODEL_CONFIG_SHARED_LAYERS_H_
#define GEMMA_SRC_MODEL_CONFIG_SHARED_LAYERS_H_

#include <cstddef>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "gemma/model_config.h"

namespace gemma::internal {

// Sets the source of the last `num_shared` layers: of those before them, the
// last that has the same type. Errors begin with `where`, the field that states
// `num_shared`.
absl::Status ShareKeys(size_t num_shared, std::string_view where,
                       std::vector<LayerConfig>& layers);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_CONFIG_SHARED_LAYERS_H_
