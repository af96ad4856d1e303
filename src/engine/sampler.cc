#include "gemma/sampler.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "ops/ops.h"

namespace gemma {
namespace {

absl::Status CheckRange(const char* name, float value, float low, float high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("%s is %g, wanted %g to %g", name, value, low, high));
}

// Keeps only the candidates whose weight counts, of weights in descending
// order: the fewest that reach top_p of the sum, and of those the ones of at
// least min_p times the first.
void Truncate(float top_p, float min_p, std::vector<double>& weights) {
  double sum = 0;
  for (const double w : weights) sum += w;
  double reached = 0;
  size_t keep = 0;
  while (keep < weights.size()) {
    if (keep > 0 && weights[keep] < min_p * weights[0]) break;
    reached += weights[keep++];
    if (reached >= top_p * sum) break;
  }
  weights.resize(std::max<size_t>(keep, 1));
}

}  // namespace

absl::Status Validate(const SamplingOptions& options) {
  if (!(options.temperature >= 0.0f) || !std::isfinite(options.temperature)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "temperature is %g, wanted 0 or more", options.temperature));
  }
  if (absl::Status s = CheckRange("top_p", options.top_p, 0.0f, 1.0f);
      !s.ok()) {
    return s;
  }
  return CheckRange("min_p", options.min_p, 0.0f, 1.0f);
}

Sampler::Sampler(const SamplingOptions& options)
    : options_(options), random_(options.seed) {}

size_t Sampler::num_candidates() const {
  return options_.temperature == 0.0f ? 1 : options_.top_k;
}

TokenId Sampler::Sample(absl::Span<float> logits) {
  // Higher logits first, then lower tokens. A NaN is never chosen.
  const auto before = [](const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
  };
  const auto candidate = [&](size_t i) {
    return Candidate{std::isnan(logits[i]) ? -INFINITY : logits[i],
                     static_cast<TokenId>(i)};
  };
  // The next from i on that comes before `last`, whose token is lower.
  const auto next = [&](size_t i, const Candidate& last) {
    return FindAbove(logits, i, last.logit);
  };
  if (num_candidates() == 1) {
    Candidate best = candidate(0);
    for (size_t i = next(1, best); i < logits.size(); i = next(i + 1, best)) {
      best = candidate(i);
    }
    return best.token;
  }

  // The k best, in a heap whose top is the worst of them.
  const size_t k = options_.top_k == 0
                       ? logits.size()
                       : std::min(options_.top_k, logits.size());
  candidates_.clear();
  for (size_t i = 0; i < k; ++i) candidates_.push_back(candidate(i));
  std::make_heap(candidates_.begin(), candidates_.end(), before);
  for (size_t i = next(k, candidates_.front()); i < logits.size();
       i = next(i + 1, candidates_.front())) {
    std::pop_heap(candidates_.begin(), candidates_.end(), before);
    candidates_.back() = candidate(i);
    std::push_heap(candidates_.begin(), candidates_.end(), before);
  }
  std::sort_heap(candidates_.begin(), candidates_.end(), before);

  const double best = candidates_.front().logit;
  if (!std::isfinite(best)) return candidates_.front().token;
  weights_.clear();
  for (const Candidate& c : candidates_) {
    weights_.push_back(
        std::exp((c.logit - best) / static_cast<double>(options_.temperature)));
  }
  Truncate(options_.top_p, options_.min_p, weights_);

  double sum = 0;
  for (const double w : weights_) sum += w;
  // 53 random bits: a number in [0, 1) that is the same on every platform.
  double left = sum * std::ldexp(static_cast<double>(random_() >> 11), -53);
  size_t chosen = 0;
  while (chosen + 1 < weights_.size() && left >= weights_[chosen]) {
    left -= weights_[chosen++];
  }
  return candidates_[chosen].token;
}

}  // namespace gemma
