// Scores of rows of logits.

#ifndef GEMMA_TOOLS_GEMMA_MEASURE_SCORES_H_
#define GEMMA_TOOLS_GEMMA_MEASURE_SCORES_H_

#include <cstddef>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "gemma/model.h"
#include "gemma/model_config.h"

namespace gemma::tools {

// -log of the probability of `token`, in nats and in double precision. NaN if
// a logit is NaN.
double NegativeLogLikelihood(absl::Span<const float> logits, TokenId token);

// The most probable token; of equal ones, the first. Needs at least one logit.
TokenId MostProbable(absl::Span<const float> logits);

// The difference between a row and its reference.
struct RowError {
  double max_error = 0;      // largest |logit - reference|; NaN if any is NaN
  TokenId token = 0;         // the token with max_error
  double max_reference = 0;  // largest |reference|; NaN if any is NaN
  double kl = 0;  // Kullback-Leibler divergence from reference to logits, nats
  bool same_top = false;  // whether both have the same most probable token
};

// The two rows have the same size, at least one.
RowError CompareRows(absl::Span<const float> logits,
                     absl::Span<const float> reference);

// The scores of two models at one position of a text.
struct TokenScore {
  TokenId token = 0;  // the text's token at this position
  double kl = 0;      // Kullback-Leibler divergence from base to other, nats
  double base_nll = 0;
  double other_nll = 0;
  TokenId base_top = 0;  // base's most probable token
  TokenId other_top = 0;
};

// The two rows have the same size, at least one. They are the logits that
// predict `token`. Scores are not finite if a logit is not finite.
TokenScore CompareScores(absl::Span<const float> base,
                         absl::Span<const float> other, TokenId token);

// Returns the error of a model whose logits, which predict token `position` of
// the text, are not finite. It begins with the model's path and names the first
// weight that is not finite.
absl::Status NotFiniteAt(const Model& model, const std::string& path,
                         size_t position);

// Calls body(row) for each row below `num_rows`, on up to `num_threads`
// threads, or on fewer if the system gives no more. `body` must not throw.
void ForEachRow(size_t num_threads, size_t num_rows,
                const std::function<void(size_t row)>& body);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_MEASURE_SCORES_H_
