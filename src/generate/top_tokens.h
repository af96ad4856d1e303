// Finds the largest logits of a row.

#ifndef GEMMA_SRC_GENERATE_TOP_TOKENS_H_
#define GEMMA_SRC_GENERATE_TOP_TOKENS_H_

#include <cstddef>
#include <vector>

#include "absl/types/span.h"
#include "gemma/sampler.h"

namespace gemma::internal {

// Replaces `top` by the k largest of `logits`, or by all if they are fewer,
// with higher logits first, then lower tokens. A NaN counts as -infinity.
void FindTopTokens(absl::Span<const float> logits, size_t k,
                   std::vector<TokenLogit>& top);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GENERATE_TOP_TOKENS_H_
