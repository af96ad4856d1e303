// A request that is being computed.

#ifndef GEMMA_SRC_BATCH_RUNNING_REQUEST_H_
#define GEMMA_SRC_BATCH_RUNNING_REQUEST_H_

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "gemma/session.h"
#include "src/base/no_throw.h"
#include "src/base/stopwatch.h"
#include "src/batch/meter.h"
#include "src/batch/ticket_state.h"
#include "src/forward/executor.h"
#include "src/generate/answer.h"
#include "src/generate/choices.h"
#include "src/generate/prompt_pieces.h"
#include "src/session/session_impl.h"

namespace gemma::internal {

// Decides what its sequence appends next, and uses the logits. If a function of
// the request throws, the request ends.
class RunningRequest {
 public:
  RunningRequest(std::shared_ptr<Ticket::State> ticket, const Model& model,
                 const Tokenizer& tokenizer, const Executor& executor);

  const Words& prompt() const { return ticket_->prompt(); }
  const PromptPieces& pieces() const { return pieces_; }
  bool scored() const { return answer_.scores_prompt(); }
  // Whether its caches are its own, because its tap may change what is in them.
  bool has_tap() const { return ticket_->request().tap != nullptr; }
  bool has_choices() const { return !ticket_->request().choices.empty(); }
  // As Answer::needed; null if all are, for the probabilities of choices.
  const NeededLogits* needed() {
    return has_choices() ? nullptr : &answer_.needed();
  }

  // Gives the request its sequence, which holds the beginning of the prompt.
  void Start(Session session);
  bool started() const { return session_.has_value(); }
  Session::Impl& session() const { return session_->impl(); }
  size_t position() const { return session().words().size(); }

  // The end of the longest beginning of the prompt that another sequence had
  // when this request started; 0 if unknown. If that sequence could not go back
  // to this position, the request started at an earlier one.
  size_t branch() const { return branch_; }
  void set_branch(size_t position) { branch_ = position; }

  // Whether the budget had no memory for this request, or another engine's turn
  // came first, when it last tried to start.
  bool waits_for_memory() const { return waits_for_memory_; }
  void set_waits_for_memory(bool waits) { waits_for_memory_ = waits; }

  // Whether some of the prompt is left.
  bool in_prompt() const { return position() < prompt().size(); }
  // How many tokens of the prompt must still be computed; before the request
  // starts, as far as it is known then.
  size_t left() const {
    return prompt().size() - (started() ? position() : expected_);
  }
  // Others have computed the first `size` tokens of the prompt.
  void ExpectReuse(size_t size) { expected_ = std::max(expected_, size); }
  size_t num_tokens() const { return answer_.num_tokens(); }  // chosen

  // The next segment: the prompt up to `end`, or the token chosen last, or a
  // piece of a choice.
  Segment NextOfPrompt(size_t end);
  Segment NextAfterPrompt();

  // Uses the logits [NumLogits, vocab_size] of a segment that was computed.
  void Took(const Segment& segment, MatrixView<float> logits);

  // Ends the request if it was cancelled or is late.
  void CheckInterruption();
  void Cancel() { ticket_->Cancel(); }

  bool ended() const { return ended_; }
  void Fail(absl::Status status);

  // Finishes a request that has ended. Before its ticket is done, counts it and
  // gives its sequence, if it has one, to `release`.
  void Finish(EngineMeter& meter,
              absl::FunctionRef<void(std::optional<Session>)> release);

 private:
  // Runs `body`, which may call functions of the request. If it throws, the
  // request fails.
  void Call(absl::FunctionRef<void()> body);

  // The function of the session's tap. An exception ends only this request.
  void OnTap(const TapSite& site, absl::Span<float> activations);

  void TookPrompt(const Segment& segment, MatrixView<float> logits);
  void Choose(absl::Span<float> logits);
  // The prompt is complete, and its last logits are wanted for the choices.
  void BeginChoices(absl::Span<const float> logits);
  void TookChoice(MatrixView<float> logits);
  // Goes on with the next piece of a choice, or ends the request.
  void NextChoice();
  bool OnText(std::string_view text);

  const std::shared_ptr<Ticket::State> ticket_;
  const StopFilter::TextFunction on_text_;  // OnText
  Answer answer_;
  const PromptPieces pieces_;
  std::optional<Session> session_;
  size_t branch_ = 0;
  size_t expected_ = 0;
  bool waits_for_memory_ = false;
  TokenId next_ = 0;                    // chosen, but not yet in the sequence
  std::optional<ChoiceScorer> scorer_;  // if the request has choices
  bool ended_ = false;
  absl::Status status_;
  absl::Status tap_status_;  // of the running pass
  Completion completion_;
  Stopwatch stopwatch_;  // of the prompt, then the answer
};

// Calls `body`. Returns ResourceExhausted if memory runs out in it, and
// Internal if it throws anything else.
inline absl::Status Guarded(absl::FunctionRef<void()> body) noexcept {
  absl::Status status = NoThrow([&] {
    body();
    return absl::OkStatus();
  });
  if (!absl::IsInternal(status)) return status;
  return NoThrow([&] {
    return absl::InternalError(
        absl::StrCat("a function of the request threw: ", status.message()));
  });
}

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BATCH_RUNNING_REQUEST_H_
