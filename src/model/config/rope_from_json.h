// The RoPE parameters of config.json, in both spellings: transformers 5 writes
// rope_parameters, earlier versions rope_theta and rope_scaling. Which key wins
// follows transformers 5.

#ifndef GEMMA_SRC_MODEL_CONFIG_ROPE_FROM_JSON_H_
#define GEMMA_SRC_MODEL_CONFIG_ROPE_FROM_JSON_H_

#include "absl/status/status.h"
#include "src/base/json.h"
#include "src/model/config/read_config.h"

namespace gemma::internal {

// Reads parameters that all layers share. Gemma 1 and 2.
absl::Status ReadOneRope(const Json& json, ConfigDraft& c);

// Reads a set of parameters for global and one for local layers. Gemma 3.
absl::Status ReadTwoRopes(const Json& json, ConfigDraft& c);

// As ReadOneRope, for heads of which a part rotates. Sets rotary_dim, too; the
// size of heads must be set. RecurrentGemma.
absl::Status ReadPartialRope(const Json& json, ConfigDraft& c);

// How the heads of one kind of attention rotate, in Gemma 4.
struct RopeRule {
  float base = 10000.0f;
  float factor = 1.0f;    // divides the frequencies
  double rotating = 1.0;  // part of a head's pairs, from the first, that rotate
};

// The rules of both kinds of attention.
struct RopeRules {
  RopeRule local, global;
};

// Returns the RoPE of heads of head_dim values. The frequency of a pair depends
// on the whole head, and not on the pairs that rotate ("proportional").
RopeConfig RopeOf(const RopeRule& rule, size_t head_dim);

// Reads rope_parameters, which must have a set for each kind of attention that
// layers have; the file has none of both if rope_parameters is missing, and
// then `rules` stays as it is. Refuses types of RoPE other than 'default',
// 'linear' and 'proportional', and adds notes for fields without effect.
absl::Status ReadRopeRules(const Json& json, RopeRules& rules, ConfigDraft& c);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_CONFIG_ROPE_FROM_JSON_H_
