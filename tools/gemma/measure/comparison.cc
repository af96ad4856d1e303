#include "tools/gemma/measure/comparison.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

namespace gemma::tools {
namespace {

// The mean of value(score).
Estimate Mean(absl::Span<const TokenScore> scores,
              const std::function<double(const TokenScore&)>& value) {
  const auto n = static_cast<double>(scores.size());
  Estimate mean;
  for (const TokenScore& score : scores) mean.value += value(score);
  mean.value /= n;
  double squares = 0;
  for (const TokenScore& score : scores) {
    const double difference = value(score) - mean.value;
    squares += difference * difference;
  }
  mean.error = std::sqrt(squares / (n - 1) / n);
  return mean;
}

// exp(mean). Its error is a first-order estimate.
Estimate Exp(const Estimate& mean) {
  const double value = std::exp(mean.value);
  return {.value = value, .error = value * mean.error};
}

// The quantile of ascending values, at least one.
double Quantile(absl::Span<const double> values, double q) {
  const double at = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, values.size() - 1);
  const double weight = at - static_cast<double>(below);
  return values[below] + weight * (values[above] - values[below]);
}

}  // namespace

Comparison Summarize(absl::Span<const TokenScore> scores) {
  Comparison sum;
  sum.tokens = scores.size();
  std::vector<double> kl;
  for (const TokenScore& score : scores) {
    if (score.kl > scores[sum.max_kl_position].kl) {
      sum.max_kl_position = kl.size();
    }
    kl.push_back(score.kl);
  }
  std::sort(kl.begin(), kl.end());
  sum.median_kl = Quantile(kl, 0.5);
  sum.kl_90 = Quantile(kl, 0.9);
  sum.kl_99 = Quantile(kl, 0.99);
  sum.kl_99_9 = Quantile(kl, 0.999);
  sum.max_kl = kl.back();

  sum.mean_kl = Mean(scores, [](const TokenScore& at) { return at.kl; });
  sum.top1_agreement = Mean(scores, [](const TokenScore& at) {
    return at.base_top == at.other_top ? 1.0 : 0.0;
  });
  sum.base_perplexity =
      Exp(Mean(scores, [](const TokenScore& at) { return at.base_nll; }));
  sum.other_perplexity =
      Exp(Mean(scores, [](const TokenScore& at) { return at.other_nll; }));
  sum.perplexity_ratio = Exp(Mean(
      scores, [](const TokenScore& at) { return at.other_nll - at.base_nll; }));
  return sum;
}

}  // namespace gemma::tools
