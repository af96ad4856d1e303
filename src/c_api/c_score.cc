// Implements gemma/c_score.h.

#include "gemma/c_score.h"

#include <algorithm>

#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/c_api/c_status.h"
#include "src/c_api/c_values.h"

using gemma::internal::Reported;

gemma_status gemma_score(gemma_session* session, const int32_t* prompt,
                         size_t prompt_size, const gemma_tokens* choices,
                         size_t num_choices, double* scores,
                         double* token_scores, bool* is_greedy) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(session);
    if (prompt_size != 0) GEMMA_C_REQUIRE(prompt);
    if (num_choices != 0) GEMMA_C_REQUIRE(scores);
    std::vector<std::vector<gemma::TokenId>> read;
    GEMMA_RETURN_IF_ERROR(
        gemma::internal::ReadLists(choices, num_choices, "choices", read));
    GEMMA_ASSIGN_OR_RETURN(
        const auto results,
        gemma::Score(session->session,
                     absl::Span<const int32_t>(prompt, prompt_size), read));
    for (const gemma::ChoiceScore& score : results) {
      *scores++ = score.log_probability;
      if (is_greedy != nullptr) *is_greedy++ = score.is_greedy;
      if (token_scores == nullptr) continue;
      token_scores =
          std::copy(score.token_log_probabilities.begin(),
                    score.token_log_probabilities.end(), token_scores);
    }
    return absl::OkStatus();
  });
}
