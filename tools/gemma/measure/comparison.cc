#include "tools/gemma/measure/comparison.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/report_head.h"

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

// Returns " +- 0.12", or "" if the error is not known.
std::string PlusMinus(double error, const absl::FormatSpec<double>& format) {
  if (std::isnan(error)) return "";
  return absl::StrCat(" +- ", absl::StrFormat(format, error));
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

std::string ToTable(const Comparison& sum) {
  return absl::StrFormat(
      R"(scored tokens     %d
mean KL           %.3e%s nats
median KL         %.3e nats
90 %% KL           %.3e nats
99 %% KL           %.3e nats
99.9 %% KL         %.3e nats
largest KL        %.3e nats (token %d of the text)
top-1 agreement   %.2f%s %%
base perplexity   %.4f%s
other perplexity  %.4f%s
other / base      %.5f%s
)",
      sum.tokens, sum.mean_kl.value, PlusMinus(sum.mean_kl.error, "%.1e"),
      sum.median_kl, sum.kl_90, sum.kl_99, sum.kl_99_9, sum.max_kl,
      sum.max_kl_position, 100 * sum.top1_agreement.value,
      PlusMinus(100 * sum.top1_agreement.error, "%.2f"),
      sum.base_perplexity.value, PlusMinus(sum.base_perplexity.error, "%.4f"),
      sum.other_perplexity.value, PlusMinus(sum.other_perplexity.error, "%.4f"),
      sum.perplexity_ratio.value,
      PlusMinus(sum.perplexity_ratio.error, "%.5f"));
}

std::string PerTokenLines(absl::Span<const TokenScore> scores,
                          const Tokenizer& tokenizer) {
  std::string lines;
  for (size_t position = 0; position < scores.size(); ++position) {
    const TokenScore& score = scores[position];
    nlohmann::ordered_json json = ReportHead();
    json.update({
        {"position", position},
        {"token", score.token},
        {"text", tokenizer.Decode({score.token})},
        {"kl", score.kl},
        {"base_nll", score.base_nll},
        {"other_nll", score.other_nll},
        {"base_top", score.base_top},
        {"other_top", score.other_top},
    });
    lines += ToLine(json);
  }
  return lines;
}

}  // namespace gemma::tools
