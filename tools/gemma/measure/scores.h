// Numbers about rows of logits.

#ifndef GEMMA_TOOLS_GEMMA_MEASURE_SCORES_H_
#define GEMMA_TOOLS_GEMMA_MEASURE_SCORES_H_

#include <cstddef>
#include <functional>

#include "absl/types/span.h"
#include "gemma/model_config.h"

namespace gemma::tools {

// -log of the probability of `token`, in nats and in double precision. NaN if
// a logit is NaN.
double NegativeLogLikelihood(absl::Span<const float> logits, TokenId token);

// The most probable token, the first of equals. Needs at least one.
TokenId MostProbable(absl::Span<const float> logits);

// How far a row is from its reference.
struct RowError {
  double max_error = 0;      // largest |logit - reference|; NaN if there is one
  TokenId token = 0;         // where
  double max_reference = 0;  // largest |reference|; NaN if there is one
  double kl = 0;  // Kullback-Leibler divergence from reference to logits, nats
  bool same_top = false;  // whether both have the same most probable token
};

// The two rows have the same size, at least one.
RowError CompareRows(absl::Span<const float> logits,
                     absl::Span<const float> reference);

// One position of a text, as two models see it.
struct TokenScore {
  TokenId token = 0;  // what the text has there
  double kl = 0;      // Kullback-Leibler divergence from base to other, nats
  double base_nll = 0;
  double other_nll = 0;
  TokenId base_top = 0;  // the most probable token
  TokenId other_top = 0;
};

// The two rows have the same size, at least one; they are the logits in front
// of `token`. Numbers are not finite if a logit is not.
TokenScore CompareScores(absl::Span<const float> base,
                         absl::Span<const float> other, TokenId token);

// Calls body(row), which must not throw, for each row below `num_rows`, on up
// to `num_threads` threads: as many as the system gives.
void ForEachRow(size_t num_threads, size_t num_rows,
                const std::function<void(size_t row)>& body);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_MEASURE_SCORES_H_
