// How probable given continuations are.

#ifndef GEMMA_SCORE_H_
#define GEMMA_SCORE_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/export.h"
#include "gemma/session.h"
#include "gemma/words.h"

namespace gemma {

// Natural logarithms of probabilities, by the model's logits as they are.
struct ChoiceScore {
  double log_probability = 0;  // of the whole choice: the sum of its tokens'
  std::vector<double> token_log_probabilities;  // as many as tokens
};

// Appends `prompt` to the session, once, and tells how probable each of
// `choices` is as what follows. The tokens of a choice are those that are
// scored: to compare with the end of a text or turn, put its token at the end
// of each. Longer choices are less probable for their length alone.
// The session then holds the prompt and no choice. A choice of more than
// max_rollback + 1 tokens leaves a checkpoint behind the prompt.
// Fails, and changes nothing, if the prompt, the choices or one of them is
// empty, if the prompt and the longest choice do not fit, if a token is not in
// the vocabulary, or if a logit is not a number.
GEMMA_EXPORT absl::StatusOr<std::vector<ChoiceScore>> Score(
    Session& session, absl::Span<const TokenId> prompt,
    absl::Span<const std::vector<TokenId>> choices);
// The same after a prompt of words.
GEMMA_EXPORT absl::StatusOr<std::vector<ChoiceScore>> Score(
    Session& session, const Words& prompt,
    absl::Span<const std::vector<TokenId>> choices);

}  // namespace gemma

#endif  // GEMMA_SCORE_H_
