// Implements the part of gemma/c_engine.h that concerns tickets.

#include "src/c_api/c_ticket.h"

#include <chrono>

#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/c_api/c_status.h"
#include "src/c_api/c_values.h"

namespace gemma::internal {

gemma_completion CompletionOf(const Completion& from,
                              std::vector<gemma_choice_score>& scores) {
  if (scores.empty()) {
    // Before the first: if memory runs out, the list stays empty.
    scores.reserve(from.scores.size());
    for (const ChoiceScore& score : from.scores) {
      scores.push_back(
          {.log_probability = score.log_probability,
           .token_log_probabilities = score.token_log_probabilities.data(),
           .num_tokens = score.token_log_probabilities.size(),
           .is_greedy = score.is_greedy});
    }
  }
  const Embeddings& vectors = from.embeddings;
  return {
      .struct_size = sizeof(gemma_completion),
      .text = from.text.c_str(),
      .text_size = from.text.size(),
      .tokens = from.tokens.data(),
      .num_tokens = from.tokens.size(),
      .token_seconds = from.token_seconds.data(),
      .prompt_tokens = from.stats.prompt_tokens,
      .reused_tokens = from.stats.reused_tokens,
      .queued_seconds = from.queued_seconds,
      .prefill_seconds = from.stats.prefill_seconds,
      .decode_seconds = from.stats.decode_seconds,
      .scores = scores.data(),
      .num_scores = scores.size(),
      .embeddings = vectors.values.data(),
      .embedding_dim = vectors.dimensions,
      .text_tokens = vectors.num_tokens.data(),
      .num_texts = vectors.num_tokens.size(),
      .truncated = vectors.truncated.data(),
      .num_truncated = vectors.truncated.size(),
      .stop_reason = static_cast<gemma_stop_reason>(from.stats.stop_reason)};
}

namespace {

// Returns the seconds to a moment, or -1 if it has no value.
double SecondsTo(const std::optional<RequestTimes::TimePoint>& time,
                 RequestTimes::TimePoint queued) {
  if (!time.has_value()) return -1;
  return std::chrono::duration<double>(*time - queued).count();
}

}  // namespace
}  // namespace gemma::internal

using gemma::internal::Reported;

void gemma_completion_init(gemma_completion* completion, size_t size) {
  gemma::internal::InitSized(completion, size, {});
}

void gemma_ticket_free(gemma_ticket* ticket) { delete ticket; }

void gemma_ticket_cancel(gemma_ticket* ticket) {
  if (ticket != nullptr) ticket->ticket->Cancel();
}

bool gemma_ticket_done(const gemma_ticket* ticket) {
  return ticket != nullptr && ticket->ticket->done();
}

gemma_status gemma_ticket_wait(gemma_ticket* ticket,
                               gemma_completion* completion) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(ticket);
    if (completion != nullptr) {
      GEMMA_RETURN_IF_ERROR(
          gemma::internal::CheckSize(*completion, "gemma_completion"));
    }
    const auto& done = ticket->ticket->Wait();
    GEMMA_RETURN_IF_ERROR(done.status());
    if (ticket->answer != nullptr) {
      GEMMA_RETURN_IF_ERROR(ticket->answer->finished());
    }
    if (completion == nullptr) return absl::OkStatus();
    const std::lock_guard lock(ticket->mutex);
    gemma::internal::WriteSized(
        gemma::internal::CompletionOf(*done, ticket->scores), completion);
    return absl::OkStatus();
  });
}

void gemma_request_times_init(gemma_request_times* times, size_t size) {
  gemma::internal::InitSized(times, size, {});
}

gemma_status gemma_ticket_times(const gemma_ticket* ticket,
                                gemma_request_times* times) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(ticket);
    GEMMA_C_REQUIRE(times);
    GEMMA_RETURN_IF_ERROR(
        gemma::internal::CheckSize(*times, "gemma_request_times"));
    const gemma::RequestTimes from = ticket->ticket->times();
    const auto seconds_to = [&from](const auto& time) {
      return gemma::internal::SecondsTo(time, from.queued);
    };
    gemma::internal::WriteSized({.started = seconds_to(from.started),
                                 .first_token = seconds_to(from.first_token),
                                 .last_token = seconds_to(from.last_token),
                                 .ended = seconds_to(from.ended),
                                 .num_tokens = from.num_tokens},
                                times);
    return absl::OkStatus();
  });
}
