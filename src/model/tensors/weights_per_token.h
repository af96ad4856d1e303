// The weights that decoding reads, which limit its speed.

#ifndef GEMMA_SRC_MODEL_TENSORS_WEIGHTS_PER_TOKEN_H_
#define GEMMA_SRC_MODEL_TENSORS_WEIGHTS_PER_TOKEN_H_

#include <cstdint>

#include "gemma/model_config.h"
#include "ops/ops.h"
#include "src/model/tensors/weights.h"

namespace gemma::internal {

// Returns the bytes that a pass of one token reads; see
// MemoryUse::weights_per_token. The weights may be those of PlanWeights.
uint64_t WeightsPerToken(const Weights& weights, const ModelConfig& config,
                         Arithmetic arithmetic);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_TENSORS_WEIGHTS_PER_TOKEN_H_
