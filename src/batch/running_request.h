// A request that is computed.

#ifndef GEMMA_SRC_BATCH_RUNNING_REQUEST_H_
#define GEMMA_SRC_BATCH_RUNNING_REQUEST_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "gemma/session.h"
#include "src/base/stopwatch.h"
#include "src/batch/ticket_state.h"
#include "src/forward/executor.h"
#include "src/generate/answer.h"
#include "src/generate/prompt_pieces.h"
#include "src/session/session_impl.h"

namespace gemma::internal {

// Knows what its sequence appends next, and what to do with the logits. What
// the request's functions throw ends it.
class RunningRequest {
 public:
  RunningRequest(std::shared_ptr<Ticket::State> ticket, const Model& model,
                 const Tokenizer& tokenizer, const Executor& executor);

  const Words& prompt() const { return ticket_->prompt(); }
  const PromptPieces& pieces() const { return pieces_; }
  bool scored() const { return answer_.scores_prompt(); }
  // As Answer::needed.
  const NeededLogits& needed() { return answer_.needed(); }

  // Gives it its sequence, which holds a beginning of the prompt.
  void Start(Session session);
  bool started() const { return session_.has_value(); }
  Session::Impl& session() const { return session_->impl(); }
  size_t position() const { return session().words().size(); }

  // Where its prompt leaves what others have, if it had to begin before; 0: it
  // had not.
  size_t branch() const { return branch_; }
  void set_branch(size_t position) { branch_ = position; }

  // Whether some of the prompt is left.
  bool in_prompt() const { return position() < prompt().size(); }

  // What comes next: the prompt up to `end`, or the token chosen last.
  Segment NextOfPrompt(size_t end);
  Segment NextToken();

  // The sequence has the segment; its logits [NumLogits, vocab_size].
  void Took(const Segment& segment, MatrixView<float> logits);

  // Asks the caller whether to go on; for a request that waits.
  void CheckInterruption();
  void Cancel() { ticket_->Cancel(); }

  bool ended() const { return ended_; }
  void Fail(absl::Status status);

  // Tells the ticket, once it has ended, and gives the sequence back if there
  // is one.
  std::optional<Session> Finish();

 private:
  // Calls what may call functions of the request.
  void Call(absl::FunctionRef<void()> body);

  void TookPrompt(const Segment& segment, MatrixView<float> logits);
  void Choose(absl::Span<float> logits);
  bool OnText(std::string_view text);

  const std::shared_ptr<Ticket::State> ticket_;
  const StopFilter::TextFunction on_text_;  // OnText
  Answer answer_;
  const PromptPieces pieces_;
  std::optional<Session> session_;
  size_t branch_ = 0;
  TokenId next_ = 0;  // chosen, and not in the sequence
  bool ended_ = false;
  absl::Status status_;
  Completion completion_;
  Stopwatch stopwatch_;  // of the prompt, then the answer
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_BATCH_RUNNING_REQUEST_H_
