#include "src/generate/token_reporter.h"

#include "src/generate/log_probabilities.h"
#include "src/generate/top_tokens.h"

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

}  // namespace gemma::internal
