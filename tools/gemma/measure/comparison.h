// How far a model is from another one, over all tokens of a text.

#ifndef GEMMA_TOOLS_GEMMA_MEASURE_COMPARISON_H_
#define GEMMA_TOOLS_GEMMA_MEASURE_COMPARISON_H_

#include <cstddef>

#include "absl/types/span.h"
#include "tools/gemma/measure/scores.h"

namespace gemma::tools {

// A mean over tokens, or a function of means, with its standard error: as if
// tokens were independent, and NaN of a single one.
struct Estimate {
  double value = 0;
  double error = 0;
};

struct Comparison {
  size_t tokens = 0;
  // Of the Kullback-Leibler divergence from base to other, nats. Quantiles
  // between two tokens are interpolated.
  Estimate mean_kl;
  double median_kl = 0;
  double kl_90 = 0;
  double kl_99 = 0;
  double kl_99_9 = 0;
  double max_kl = 0;
  size_t max_kl_position = 0;
  Estimate top1_agreement;  // share of the tokens, 0 to 1
  Estimate base_perplexity;
  Estimate other_perplexity;
  // Other's over base's. Its error is that of the mean of differences, token by
  // token, and so far less than that of either.
  Estimate perplexity_ratio;
};

// Of at least one token.
Comparison Summarize(absl::Span<const TokenScore> scores);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_MEASURE_COMPARISON_H_
