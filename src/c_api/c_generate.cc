// Implements gemma/c_generate.h.

#include "gemma/c_generate.h"

#include <new>

#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/c_api/c_answer_options.h"
#include "src/c_api/c_status.h"
#include "src/c_api/c_values.h"

using gemma::internal::Reported;

namespace gemma::internal {
namespace {

// prompt: tokens or words.
template <class Prompt>
absl::Status GenerateAfter(gemma_session* session, const Prompt& prompt,
                           const gemma_generate_options* options,
                           gemma_text_callback on_text, void* user,
                           gemma_generate_stats* stats) {
  if (stats != nullptr) {
    GEMMA_RETURN_IF_ERROR(CheckSize(*stats, "gemma_generate_stats"));
  }
  AnswerOptions read;
  GEMMA_RETURN_IF_ERROR(
      read.Read(options, session->session.model(), on_text, user));
  GEMMA_ASSIGN_OR_RETURN(
      const GenerateStats made,
      Generate(session->session, prompt, read.options(), read.on_text()));
  GEMMA_RETURN_IF_ERROR(read.Finish());
  if (stats == nullptr) return absl::OkStatus();
  WriteSized({.prompt_tokens = made.prompt_tokens,
              .new_tokens = made.new_tokens,
              .prefill_seconds = made.prefill_seconds,
              .decode_seconds = made.decode_seconds,
              .stop_reason = static_cast<gemma_stop_reason>(made.stop_reason),
              .reused_tokens = made.reused_tokens,
              .drafted_tokens = made.drafted_tokens,
              .accepted_tokens = made.accepted_tokens},
             stats);
  return absl::OkStatus();
}

}  // namespace
}  // namespace gemma::internal

gemma_cancellation* gemma_cancellation_create(void) {
  return new (std::nothrow) gemma_cancellation;
}

void gemma_cancellation_free(gemma_cancellation* cancellation) {
  delete cancellation;
}

void gemma_cancellation_cancel(gemma_cancellation* cancellation) {
  if (cancellation != nullptr) cancellation->cancelled = true;
}

void gemma_cancellation_reset(gemma_cancellation* cancellation) {
  if (cancellation != nullptr) cancellation->cancelled = false;
}

void gemma_generate_options_init(gemma_generate_options* options, size_t size) {
  const gemma::GenerateOptions defaults;
  const gemma::SamplingOptions& sampling = defaults.sampling;
  gemma::internal::InitSized(
      options, size,
      {.max_new_tokens = defaults.max_new_tokens,
       .temperature = sampling.temperature,
       .top_k = sampling.top_k,
       .top_p = sampling.top_p,
       .min_p = sampling.min_p,
       .seed = sampling.seed,
       .speculate = defaults.speculation == gemma::Speculation::kAuto,
       .typical_p = sampling.typical_p,
       .repetition_penalty = sampling.repetition_penalty,
       .frequency_penalty = sampling.frequency_penalty,
       .presence_penalty = sampling.presence_penalty,
       .penalty_window = sampling.penalty_window});
}

const char* gemma_stop_reason_name(gemma_stop_reason reason) {
  const unsigned number = gemma::internal::NumberOf(reason);
  if (number >= gemma::kNumStopReasons) return "";
  // The names are literals, which end with 0.
  return gemma::StopReasonName(static_cast<gemma::StopReason>(number)).data();
}

void gemma_generate_stats_init(gemma_generate_stats* stats, size_t size) {
  gemma::internal::InitSized(stats, size, {});
}

gemma_status gemma_generate(gemma_session* session, const int32_t* prompt,
                            size_t prompt_size,
                            const gemma_generate_options* options,
                            gemma_text_callback on_text, void* user,
                            gemma_generate_stats* stats) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(session);
    if (prompt_size != 0) GEMMA_C_REQUIRE(prompt);
    return gemma::internal::GenerateAfter(
        session, absl::Span<const int32_t>(prompt, prompt_size), options,
        on_text, user, stats);
  });
}

gemma_status gemma_generate_words(gemma_session* session,
                                  const gemma_words* prompt,
                                  const gemma_generate_options* options,
                                  gemma_text_callback on_text, void* user,
                                  gemma_generate_stats* stats) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(session);
    GEMMA_C_REQUIRE(prompt);
    return gemma::internal::GenerateAfter(session, prompt->words, options,
                                          on_text, user, stats);
  });
}
