// The probabilities of tokens by a row of logits, and the report of them to the
// caller of Generate.

#ifndef GEMMA_SRC_GENERATE_SCORED_TOKENS_H_
#define GEMMA_SRC_GENERATE_SCORED_TOKENS_H_

#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "gemma/generate.h"
#include "gemma/model_config.h"
#include "gemma/sampler.h"
#include "gemma/tokenizer.h"

namespace gemma::internal {

// Does nothing if GenerateOptions::on_token is not set.
class TokenReporter {
 public:
  // Both must outlive the reporter.
  TokenReporter(const GenerateOptions& options, const Tokenizer& tokenizer)
      : options_(options), tokenizer_(tokenizer) {}

  bool wanted() const { return options_.on_token != nullptr; }

  // Takes the logits [vocab_size] of the token that is reported next. Copies
  // them, because sampling overwrites them.
  void Expect(absl::Span<const float> logits);

  // Reports the next token of the sequence. Without an earlier call of Expect,
  // it has no probability.
  void Report(TokenId token);

 private:
  const GenerateOptions& options_;
  const Tokenizer& tokenizer_;
  std::vector<float> logits_;    // empty before Expect
  std::vector<TokenLogit> top_;  // reused from call to call
};

// log(softmax(logits)), in double precision. If one logit is NaN, all results
// are NaN.
class LogProbabilities {
 public:
  // `logits` must outlive this object unchanged, and must not be empty.
  explicit LogProbabilities(absl::Span<const float> logits);

  double operator[](TokenId token) const {
    return logits_[static_cast<size_t>(token)] - log_sum_;
  }
  // Returns the token with the highest logit; the lower one of equals.
  TokenId most_probable() const { return most_probable_; }

 private:
  absl::Span<const float> logits_;
  TokenId most_probable_;
  double log_sum_;  // log(sum(exp(logits)))
};

// Returns OK, or DataLoss with ErrorReason::kNotFinite if a logit is NaN, as
// the forward pass writes those that are infinite. -infinity stands for those
// that were not computed. `position`: the
// number of words before the token that the logits predict, for the message.
absl::Status CheckFinite(absl::Span<const float> logits, size_t position);

// Replaces `top` by the k largest of `logits`, or by all if they are fewer,
// with higher logits first, then lower tokens. A NaN counts as -infinity.
void FindTopTokens(absl::Span<const float> logits, size_t k,
                   std::vector<TokenLogit>& top);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GENERATE_SCORED_TOKENS_H_
