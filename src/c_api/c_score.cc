// Implements gemma/c_score.h.

#include "gemma/c_score.h"

#include <algorithm>

#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/c_api/c_status.h"
#include "src/c_api/c_values.h"

namespace gemma::internal {
namespace {

// prompt: tokens or words.
template <class Prompt>
absl::Status ScoreAfter(gemma_session* session, const Prompt& prompt,
                        const gemma_tokens* choices, size_t num_choices,
                        double* scores, double* token_scores, bool* is_greedy) {
  if (num_choices != 0) GEMMA_C_REQUIRE(scores);
  std::vector<std::vector<TokenId>> read;
  GEMMA_RETURN_IF_ERROR(ReadLists(choices, num_choices, "choices", read));
  GEMMA_ASSIGN_OR_RETURN(const auto results,
                         Score(session->session, prompt, read));
  for (const ChoiceScore& score : results) {
    *scores++ = score.log_probability;
    if (is_greedy != nullptr) *is_greedy++ = score.is_greedy;
    if (token_scores == nullptr) continue;
    token_scores = std::copy(score.token_log_probabilities.begin(),
                             score.token_log_probabilities.end(), token_scores);
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace gemma::internal

using gemma::internal::Reported;

gemma_status gemma_score(gemma_session* session, const int32_t* prompt,
                         size_t prompt_size, const gemma_tokens* choices,
                         size_t num_choices, double* scores,
                         double* token_scores, bool* is_greedy) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(session);
    if (prompt_size != 0) GEMMA_C_REQUIRE(prompt);
    return gemma::internal::ScoreAfter(
        session, absl::Span<const int32_t>(prompt, prompt_size), choices,
        num_choices, scores, token_scores, is_greedy);
  });
}

gemma_status gemma_score_words(gemma_session* session,
                               const gemma_words* prompt,
                               const gemma_tokens* choices, size_t num_choices,
                               double* scores, double* token_scores,
                               bool* is_greedy) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(session);
    GEMMA_C_REQUIRE(prompt);
    return gemma::internal::ScoreAfter(session, prompt->words, choices,
                                       num_choices, scores, token_scores,
                                       is_greedy);
  });
}
