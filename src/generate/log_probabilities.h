// Log-probabilities of tokens from a row of logits.

#ifndef GEMMA_SRC_GENERATE_LOG_PROBABILITIES_H_
#define GEMMA_SRC_GENERATE_LOG_PROBABILITIES_H_

#include "absl/types/span.h"
#include "gemma/model_config.h"

namespace gemma::internal {

// log(softmax(logits)), in double precision. If one logit is NaN, all results
// are NaN.
class LogProbabilities {
 public:
  // `logits` must outlive this object unchanged, and must not be empty.
  explicit LogProbabilities(absl::Span<const float> logits);

  double operator[](TokenId token) const {
    return logits_[static_cast<size_t>(token)] - log_sum_;
  }

 private:
  absl::Span<const float> logits_;
  double log_sum_;  // log(sum(exp(logits)))
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GENERATE_LOG_PROBABILITIES_H_
