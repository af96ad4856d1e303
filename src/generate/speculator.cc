#include "src/generate/speculator.h"

#include <algorithm>

#include "src/base/status_macros.h"
#include "src/base/stopwatch.h"
#include "src/session/session_impl.h"

namespace gemma::internal {
Speculator::Speculator(Session& session, Drafter* drafter)
    : session_(session), drafter_(drafter) {}

Speculator::~Speculator() { Finish().IgnoreError(); }

absl::StatusOr<absl::Span<float>> Speculator::Append(
    TokenId token, size_t most, const NeededLogits& needed) {
  if (drafter_ != nullptr) drafter_->Append(token);
  if (num_ahead() > 0 && pass_[num_appended_] == token) {
    ++num_accepted_;
    return Row(num_appended_++);
  }
  GEMMA_RETURN_IF_ERROR(Finish());
  next_.assign(1, token);
  AddDraft(most);
  const Stopwatch stopwatch;
  GEMMA_ASSIGN_OR_RETURN(const absl::Span<float> logits, RunPass(needed));
  pass_.swap(next_);
  num_appended_ = 1;
  if (drafter_ != nullptr) {
    drafter_->PassTook(pass_.size(), stopwatch.seconds());
  }
  return logits;
}

absl::Status Speculator::Finish() {
  const size_t ahead = num_ahead();
  pass_.resize(num_appended_);
  if (ahead == 0) return absl::OkStatus();
  return session_.Rewind(session_.position() - ahead);
}

void Speculator::AddDraft(size_t most) {
  if (drafter_ == nullptr || session_.remaining() == 0) return;
  // The draft must fit, and taking it back must cost nothing.
  const SessionOptions& options = session_.options();
  most = std::min({most, session_.remaining() - 1, options.max_rollback});
  // Passes end where a checkpoint is due. A guess is not worth a checkpoint, so
  // the draft ends before that place.
  if (const size_t interval = options.checkpoint_interval; interval != 0) {
    most = std::min(most, interval - 1 - session_.position() % interval);
  }
  const absl::Span<const TokenId> draft = drafter_->Draft(most);
  if (draft.empty()) return;
  num_drafted_ += draft.size();
  next_.insert(next_.end(), draft.begin(), draft.end());
  const size_t vocab_size = session_.model().config().vocab_size;
  if (logits_.size() < next_.size() * vocab_size) {
    logits_.resize(next_.size() * vocab_size);
  }
}

absl::StatusOr<absl::Span<float>> Speculator::RunPass(
    const NeededLogits& needed) {
  if (next_.size() == 1) return session_.impl().Forward(next_, needed);
  const size_t vocab_size = session_.model().config().vocab_size;
  GEMMA_RETURN_IF_ERROR(session_.ForwardAll(
      next_, absl::MakeSpan(logits_).first(next_.size() * vocab_size)));
  return Row(0);
}

absl::Span<float> Speculator::Row(size_t row) {
  const size_t vocab_size = session_.model().config().vocab_size;
  return absl::MakeSpan(logits_).subspan(row * vocab_size, vocab_size);
}

}  // namespace gemma::internal
