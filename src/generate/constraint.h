// Takes out the tokens that a grammar does not allow.

#ifndef GEMMA_SRC_GENERATE_CONSTRAINT_H_
#define GEMMA_SRC_GENERATE_CONSTRAINT_H_

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "gemma/grammar.h"
#include "gemma/sampler.h"
#include "gemma/tokenizer.h"
#include "src/forward/segment.h"
#include "src/grammar/allowed_tokens.h"

namespace gemma::internal {

// Does nothing at all without a grammar. With one, it knows before a pass which
// tokens may come after it. Where they are few, only their logits are needed.
// Where they are many, the sampler's candidates are the largest logits that are
// allowed: some more of the largest are asked for, and if even of those too few
// are allowed, all.
class Constraint {
 public:
  // All must outlive the constraint; `grammar` may be null. `stops`: tokens
  // that end an answer. `num_candidates`: as Sampler has it. `all_logits`:
  // somebody else needs them.
  Constraint(const Grammar* grammar, const Tokenizer& tokenizer,
             absl::Span<const TokenId> stops, size_t num_candidates,
             bool all_logits);
  // needed() refers to this.
  Constraint(const Constraint&) = delete;
  Constraint& operator=(const Constraint&) = delete;

  // The logits that Apply needs. Valid until Accept.
  const NeededLogits& needed();

  // Makes the logits [vocab_size] of tokens that are not allowed -infinity, and
  // of those that are, perhaps those that the sampler does not need.
  void Apply(absl::Span<float> logits);

  // The token; or the lowest one that is allowed, if the sampler found nothing
  // but -infinity or NaN.
  TokenId Allowed(TokenId token);

  // An allowed token was chosen, which does not end the answer.
  void Accept(TokenId token);

  // Whether nothing may follow.
  bool must_end() const { return allowed_.has_value() && allowed_->must_end(); }

  // As AllowedTokens.
  absl::Status status() const;

 private:
  // Finds the num_candidates_ largest logits that are allowed among the
  // `among` largest. Returns whether there are so many.
  bool FindCandidates(absl::Span<const float> logits, size_t among);
  // Makes all logits -infinity but those of candidates_.
  void KeepCandidates(absl::Span<float> logits) const;

  std::optional<AllowedTokens> allowed_;  // none: no grammar
  const size_t num_candidates_;
  const bool all_logits_;
  NeededLogits needed_;
  bool needed_is_set_ = false;
  size_t more_;  // of the largest logits than there are candidates
  std::vector<TokenLogit> largest_;
  std::vector<TokenLogit> candidates_;
  bool has_candidates_ = false;  // of the next logits
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GENERATE_CONSTRAINT_H_
