#include "src/generate/scored_tokens.h"

#include <algorithm>
#include <cmath>

#include "gemma/error_reason.h"
#include "ops/ops.h"
#include "src/base/format_text.h"

namespace gemma::internal {

void TokenReporter::Expect(absl::Span<const float> logits) {
  if (wanted()) logits_.assign(logits.begin(), logits.end());
}

void TokenReporter::Report(TokenId token) {
  if (!wanted()) return;
  ScoredToken scored = {token, tokenizer_.Piece(token)};
  if (!logits_.empty()) {
    const LogProbabilities log_probabilities(logits_);
    scored.log_probability = log_probabilities[token];
    FindTopTokens(logits_, options_.num_alternatives, top_);
    for (const TokenLogit& top : top_) {
      scored.alternatives.push_back({top.token, tokenizer_.Piece(top.token),
                                     log_probabilities[top.token]});
    }
  }
  options_.on_token(scored);
}

LogProbabilities::LogProbabilities(absl::Span<const float> logits)
    : logits_(logits) {
  const auto most = std::max_element(logits.begin(), logits.end());
  most_probable_ = static_cast<TokenId>(most - logits.begin());
  const double max = *most;
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - max);
  log_sum_ = max + std::log(sum);
}

absl::Status CheckFinite(absl::Span<const float> logits, size_t position) {
  if (AllBelowInfinity(logits)) return absl::OkStatus();
  return WithReason(
      absl::DataLossError(FormatText(
          "the model's logits are not finite (position %u)", position)),
      ErrorReason::kNotFinite);
}

void FindTopTokens(absl::Span<const float> logits, size_t k,
                   std::vector<TokenLogit>& top) {
  const auto before = [](const TokenLogit& a, const TokenLogit& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
  };
  const auto token = [&](size_t i) {
    return TokenLogit{static_cast<TokenId>(i),
                      std::isnan(logits[i]) ? -INFINITY : logits[i]};
  };
  top.clear();
  k = std::min(k, logits.size());
  if (k == 0) return;

  // A heap with the worst of the k tokens in front.
  for (size_t i = 0; i < k; ++i) top.push_back(token(i));
  std::make_heap(top.begin(), top.end(), before);
  // Returns the next token that is better. An equal logit is not better,
  // because its token is higher.
  const auto next = [&](size_t i) {
    return FindAbove(logits, i, top.front().logit);
  };
  for (size_t i = next(k); i < logits.size(); i = next(i + 1)) {
    std::pop_heap(top.begin(), top.end(), before);
    top.back() = token(i);
    std::push_heap(top.begin(), top.end(), before);
  }
  std::sort_heap(top.begin(), top.end(), before);
}

}  // namespace gemma::internal
