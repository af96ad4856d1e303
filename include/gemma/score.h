// Computes the probabilities of given continuations.

#ifndef GEMMA_SCORE_H_
#define GEMMA_SCORE_H_

#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/export.h"
#include "gemma/model.h"
#include "gemma/session.h"
#include "gemma/words.h"

namespace gemma {

// The score of a choice: natural logarithms of probabilities, from the model's
// unchanged logits.
struct ChoiceScore {
  double log_probability = 0;  // of the whole choice: the sum over its tokens
  std::vector<double> token_log_probabilities;  // one for each token
  // Whether each token is the most probable one after those before it. At
  // temperature 0, the answer then begins with this choice.
  bool is_greedy = true;
};

// Appends `prompt` to the session, once, and returns the probability that each
// of `choices` follows it. All tokens of a choice are scored, and nothing else:
// to score the end of a text or turn too, add its token to each choice. Longer
// choices are less probable simply because they are longer. Afterwards the
// session holds the prompt, but no choice. A choice of more than max_rollback +
// 1 tokens leaves a checkpoint after the prompt. Fails and changes nothing if
// the prompt, the list of choices or a choice is empty, if the prompt and the
// longest choice do not fit, if a token is not in the vocabulary, or if a logit
// is not a number. After other failures, the session is rewound. If that fails
// because a tap throws or memory runs out, the session may hold more or fewer
// tokens than before. The error then has the first failure's code, and its
// message says how many tokens the session has.
GEMMA_EXPORT absl::StatusOr<std::vector<ChoiceScore>> Score(
    Session& session, absl::Span<const TokenId> prompt,
    absl::Span<const std::vector<TokenId>> choices);
// The same after a prompt of words.
GEMMA_EXPORT absl::StatusOr<std::vector<ChoiceScore>> Score(
    Session& session, const Words& prompt,
    absl::Span<const std::vector<TokenId>> choices);

// Returns the error of logits that are NaN, for callers who compute their own
// scores from Session::Forward: DataLoss with ErrorReason::kNotFinite. Its
// message is `what`, and after it the first weight of the model that is NaN or
// infinite, or that all weights are finite. The first call reads all weights.
GEMMA_EXPORT absl::Status NotFiniteError(const Model& model,
                                         std::string_view what);

}  // namespace gemma

#endif  // GEMMA_SCORE_H_
