// The tickets of C, and completions for callers of C.

#ifndef GEMMA_SRC_C_API_C_TICKET_H_
#define GEMMA_SRC_C_API_C_TICKET_H_

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "gemma/c_engine.h"
#include "gemma/engine.h"
#include "src/c_api/c_answer_options.h"

struct gemma_ticket {
  // What the request's functions use; null if it has none of the caller's.
  std::shared_ptr<gemma::internal::AnswerOptions> answer;
  std::optional<gemma::Ticket> ticket;  // set before a ticket is given out
  std::mutex mutex;                     // of `scores`
  std::vector<gemma_choice_score> scores = {};  // of a completion
};

namespace gemma::internal {

// Returns views of the completion. `scores` receives those of its choices, if
// it is empty, and must live as long as the result.
gemma_completion CompletionOf(const Completion& from,
                              std::vector<gemma_choice_score>& scores);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_C_API_C_TICKET_H_
