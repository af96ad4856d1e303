// Removes the tokens that a grammar does not allow.

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

// Without a grammar, changes nothing. With a grammar, knows before a pass which
// tokens may follow it. If they are few, only their logits are needed. If they
// are many, the sampler's candidates are the largest logits of allowed tokens:
// the constraint requests some more of the largest logits than candidates, and
// if too few of these are allowed, it requests all logits.
class Constraint {
 public:
  // All arguments must outlive the constraint. `grammar` may be null. `stops`
  // are the tokens that end an answer, ascending. `num_candidates` is the
  // sampler's. If `all_logits`, other code needs all logits. The logits of
  // `suppressed` are -infinity when Apply gets them. The tokens of the
  // grammar's marks are looked up in the vocabulary; see status.
  Constraint(const Grammar* grammar, const Tokenizer& tokenizer,
             absl::Span<const TokenId> stops, size_t num_candidates,
             bool all_logits, absl::Span<const TokenId> suppressed = {});
  // Other tokens are suppressed after the next Accept.
  void set_suppressed(absl::Span<const TokenId> suppressed) {
    suppressed_ = suppressed;
  }
  // The result of needed() refers to this object.
  Constraint(const Constraint&) = delete;
  Constraint& operator=(const Constraint&) = delete;

  // The logits that Apply needs. Valid until Accept.
  const NeededLogits& needed();

  // Sets the logits [vocab_size] of tokens that are not allowed to -infinity.
  // May do the same to allowed tokens that the sampler does not need.
  void Apply(absl::Span<float> logits);

  // Returns `token` if it is allowed. Otherwise the sampler found only
  // -infinity or NaN: returns the lowest allowed token.
  TokenId Allowed(TokenId token);

  // Takes the chosen token, which is allowed and does not end the answer.
  void Accept(TokenId token);

  // Whether the answer must end because no token may follow.
  bool must_end() const { return allowed_.has_value() && allowed_->must_end(); }

  // As AllowedTokens::status; InvalidArgument from the beginning if a mark of
  // the grammar is missing in the vocabulary or ends an answer.
  absl::Status status() const;

 private:
  // Looks among the `among` largest logits for the num_candidates_ largest that
  // are allowed. Returns whether it found that many.
  bool FindCandidates(absl::Span<const float> logits, size_t among);
  // Sets all logits to -infinity except those of candidates_.
  void KeepCandidates(absl::Span<float> logits) const;

  std::optional<AllowedTokens> allowed_;  // empty without a grammar
  absl::Status marks_status_;
  const size_t num_candidates_;
  const bool all_logits_;
  absl::Span<const TokenId> suppressed_;
  NeededLogits needed_;
  bool needed_is_set_ = false;
  size_t more_;  // how many more logits than candidates to request
  std::vector<TokenLogit> largest_;
  std::vector<TokenLogit> candidates_;
  bool has_candidates_ = false;  // for the next logits
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_GENERATE_CONSTRAINT_H_
