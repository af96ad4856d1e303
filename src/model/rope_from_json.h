// The RoPE parameters of config.json, in both spellings: transformers 5 writes
// rope_parameters, earlier versions rope_theta and rope_scaling. Which key wins
// follows transformers 5.

#ifndef GEMMA_SRC_MODEL_ROPE_FROM_JSON_H_
#define GEMMA_SRC_MODEL_ROPE_FROM_JSON_H_

#include "absl/status/status.h"
#include "src/base/json.h"
#include "src/model/read_config.h"

namespace gemma::internal {

// Reads parameters that all layers share. Gemma 1 and 2.
absl::Status ReadOneRope(const Json& json, ConfigDraft& c);

// Reads a set of parameters for global and one for local layers. Gemma 3.
absl::Status ReadTwoRopes(const Json& json, ConfigDraft& c);

// As ReadOneRope, for heads of which a part rotates. Sets rotary_dim, too; the
// size of heads must be set. RecurrentGemma.
absl::Status ReadPartialRope(const Json& json, ConfigDraft& c);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_ROPE_FROM_JSON_H_
