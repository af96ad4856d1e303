#include "src/generate/log_probabilities.h"

#include <algorithm>
#include <cmath>

namespace gemma::internal {

LogProbabilities::LogProbabilities(absl::Span<const float> logits)
    : logits_(logits) {
  const double max = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - max);
  log_sum_ = max + std::log(sum);
}

}  // namespace gemma::internal
