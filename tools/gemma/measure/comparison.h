// The difference between two models over all tokens of a text.

#ifndef GEMMA_TOOLS_GEMMA_MEASURE_COMPARISON_H_
#define GEMMA_TOOLS_GEMMA_MEASURE_COMPARISON_H_

#include <cstddef>
#include <string>

#include "absl/types/span.h"
#include "gemma/tokenizer.h"
#include "tools/gemma/measure/scores.h"

namespace gemma::tools {

// A mean over tokens, or a function of means. `error` is its standard error,
// computed as if tokens were independent; NaN for a single token.
struct Estimate {
  double value = 0;
  double error = 0;
};

struct Comparison {
  size_t tokens = 0;
  // Kullback-Leibler divergence from base to other, in nats: mean, quantiles
  // and largest. Quantiles between two tokens are interpolated.
  Estimate mean_kl;
  double median_kl = 0;
  double kl_90 = 0;
  double kl_99 = 0;
  double kl_99_9 = 0;
  double max_kl = 0;
  size_t max_kl_position = 0;  // of the token with max_kl
  Estimate top1_agreement;     // share of the tokens, 0 to 1
  Estimate base_perplexity;
  Estimate other_perplexity;
  // Other's perplexity divided by base's. Its error comes from the differences
  // at each token, so it is far smaller than the error of either perplexity.
  Estimate perplexity_ratio;
};

// Summarizes the scores of at least one token.
Comparison Summarize(absl::Span<const TokenScore> scores);

// Returns a table for people.
std::string ToTable(const Comparison& sum);

// Returns one line of JSON for each token.
std::string PerTokenLines(absl::Span<const TokenScore> scores,
                          const Tokenizer& tokenizer);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_MEASURE_COMPARISON_H_
