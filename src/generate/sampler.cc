#include "gemma/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "src/base/internal.h"
#include "src/generate/scored_tokens.h"

namespace gemma {
namespace {

// More tokens than any vocabulary has.
constexpr size_t kMany = size_t{1} << 32;

double Sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

}  // namespace

Sampler::Sampler(const SamplingOptions& options)
    : options_(options), random_(options.seed) {}

bool Sampler::penalizes() const {
  return options_.repetition_penalty != 1.0f ||
         options_.frequency_penalty != 0.0f ||
         options_.presence_penalty != 0.0f;
}

size_t Sampler::num_kept() const {
  return options_.temperature == 0.0f ? 1 : options_.top_k;
}

// If n tokens are lowered, at least k of the n + k largest logits keep their
// values. So n + k candidates are enough, unless a token is raised: it may come
// from anywhere.
size_t Sampler::num_candidates() const {
  const size_t kept = std::min(num_kept(), kMany);
  size_t lowered = options_.logit_bias.size();
  for (const LogitBias& b : options_.logit_bias) {
    if (b.bias > 0.0f) return 0;
  }
  if (penalizes()) {
    const bool raises = options_.repetition_penalty < 1.0f ||
                        options_.frequency_penalty < 0.0f ||
                        options_.presence_penalty < 0.0f;
    if (raises || options_.penalty_window == 0) return 0;
    lowered += std::min(options_.penalty_window, kMany);
  }
  return kept == 0 || kept + lowered >= kMany ? 0 : kept + lowered;
}

void Sampler::Accept(absl::Span<const TokenId> tokens) {
  if (!penalizes()) return;
  const size_t window = options_.penalty_window;
  for (const TokenId token : tokens) {
    ++counts_[token];
    if (window == 0) continue;
    window_.push_back(token);
    if (window_.size() <= window) continue;
    const auto oldest = counts_.find(window_.front());
    if (--oldest->second == 0) counts_.erase(oldest);
    window_.pop_front();
  }
}

TokenId Sampler::Sample(absl::Span<float> logits) {
  Adjust(logits);
  const size_t kept = num_kept();
  FindTopTokens(logits, kept == 0 ? logits.size() : kept, candidates_);
  const double best = candidates_.front().logit;
  if (kept == 1 || !std::isfinite(best)) return candidates_.front().token;

  weights_.clear();
  for (const TokenLogit& c : candidates_) {
    weights_.push_back(
        std::exp((c.logit - best) / static_cast<double>(options_.temperature)));
  }
  // Rounding must not choose a token of probability 0.
  while (weights_.back() == 0) weights_.pop_back();
  if (options_.typical_p < 1.0f) KeepTypical();
  KeepMostProbable();
  if (last_step_) {
    candidates_.resize(weights_.size());
    last_step_(candidates_, weights_);
  }

  // 53 random bits make a number in [0, 1) that is the same on every platform.
  double left =
      Sum(weights_) * std::ldexp(static_cast<double>(random_() >> 11), -53);
  size_t chosen = 0;
  while (chosen + 1 < weights_.size() && left >= weights_[chosen]) {
    left -= weights_[chosen++];
  }
  return candidates_[chosen].token;
}

// Changes only the few logits concerned, without a loop over all.
void Sampler::Adjust(absl::Span<float> logits) const {
  for (const LogitBias& b : options_.logit_bias) {
    const auto i = static_cast<size_t>(b.token);
    if (i < logits.size()) logits[i] += b.bias;
  }
  const float repetition = options_.repetition_penalty;
  for (const auto& [token, count] : counts_) {
    const auto i = static_cast<size_t>(token);
    if (i >= logits.size()) continue;
    float& logit = logits[i];
    logit = logit > 0.0f ? logit / repetition : logit * repetition;
    logit -= static_cast<float>(count) * options_.frequency_penalty +
             options_.presence_penalty;
  }
}

// Keeps the weights in descending order.
void Sampler::KeepTypical() {
  const double sum = Sum(weights_);
  const double log_sum = std::log(sum);
  double entropy = log_sum;
  for (const double w : weights_) entropy -= w * std::log(w) / sum;
  std::vector<double> distances;
  for (const double w : weights_) {
    distances.push_back(std::abs(log_sum - std::log(w) - entropy));
  }
  std::vector<size_t> order(weights_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return distances[a] != distances[b] ? distances[a] < distances[b] : a < b;
  });

  size_t keep = 0;
  double reached = 0;
  while (keep < order.size()) {
    reached += weights_[order[keep++]];
    if (reached >= options_.typical_p * sum) break;
  }
  order.resize(keep);
  std::sort(order.begin(), order.end());
  for (size_t i = 0; i < keep; ++i) {
    candidates_[i] = candidates_[order[i]];
    weights_[i] = weights_[order[i]];
  }
  weights_.resize(keep);
}

// Keeps the fewest weights that reach top_p of the sum, and of these only those
// that are at least min_p times the first.
void Sampler::KeepMostProbable() {
  const double sum = Sum(weights_);
  double reached = 0;
  size_t keep = 0;
  while (keep < weights_.size()) {
    if (keep > 0 && weights_[keep] < options_.min_p * weights_[0]) break;
    reached += weights_[keep++];
    if (reached >= options_.top_p * sum) break;
  }
  weights_.resize(std::max<size_t>(keep, 1));
}

}  // namespace gemma
