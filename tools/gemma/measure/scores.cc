#include "tools/gemma/measure/scores.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <system_error>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gemma/score.h"

namespace gemma::tools {
namespace {

// log(sum(exp(logits))).
double LogSum(absl::Span<const float> logits) {
  const double max = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - max);
  return max + std::log(sum);
}

// The divergence from `reference` to `logits`, given the LogSum of each.
double KlDivergence(absl::Span<const float> reference, double reference_log_sum,
                    absl::Span<const float> logits, double log_sum) {
  double kl = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double reference_log = reference[i] - reference_log_sum;
    kl += std::exp(reference_log) * (reference_log - (logits[i] - log_sum));
  }
  return kl;
}

}  // namespace

double NegativeLogLikelihood(absl::Span<const float> logits, TokenId token) {
  return LogSum(logits) - logits[static_cast<size_t>(token)];
}

TokenId MostProbable(absl::Span<const float> logits) {
  return static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) -
                              logits.begin());
}

RowError CompareRows(absl::Span<const float> logits,
                     absl::Span<const float> reference) {
  RowError error;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double difference = std::abs(double{logits[i]} - reference[i]);
    // Comparisons with NaN are false, so the first NaN is kept as the maximum.
    if (!(difference <= error.max_error) && !std::isnan(error.max_error)) {
      error.max_error = difference;
      error.token = static_cast<TokenId>(i);
    }
    const double magnitude = std::abs(double{reference[i]});
    if (!(magnitude <= error.max_reference) &&
        !std::isnan(error.max_reference)) {
      error.max_reference = magnitude;
    }
  }
  error.kl = KlDivergence(reference, LogSum(reference), logits, LogSum(logits));
  error.same_top = MostProbable(logits) == MostProbable(reference);
  return error;
}

TokenScore CompareScores(absl::Span<const float> base,
                         absl::Span<const float> other, TokenId token) {
  const double base_log_sum = LogSum(base);
  const double other_log_sum = LogSum(other);
  const auto index = static_cast<size_t>(token);
  TokenScore score;
  score.token = token;
  score.kl = KlDivergence(base, base_log_sum, other, other_log_sum);
  score.base_nll = base_log_sum - base[index];
  score.other_nll = other_log_sum - other[index];
  score.base_top = MostProbable(base);
  score.other_top = MostProbable(other);
  return score;
}

absl::Status NotFiniteAt(const Model& model, const std::string& path,
                         size_t position) {
  return NotFiniteError(
      model, absl::StrCat(path, ": the model's logits are not finite (token ",
                          position, " of the text)"));
}

void ForEachRow(size_t num_threads, size_t num_rows,
                const std::function<void(size_t row)>& body) {
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t row = next++; row < num_rows; row = next++) body(row);
  };
  std::vector<std::thread> threads;
  const size_t most = std::min(num_threads, num_rows);
  threads.reserve(most);
  try {
    while (threads.size() + 1 < most) threads.emplace_back(work);
  } catch (const std::system_error&) {
    // The system gives no more threads; the existing ones do all the work.
  }
  work();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace gemma::tools
