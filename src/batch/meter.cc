#include "src/batch/meter.h"

namespace gemma::internal {

void Meter::Queued(size_t words) {
  const std::lock_guard lock(mutex_);
  ++now_.submitted;
  ++now_.queued;
  now_.queued_tokens += words;
}

void Meter::Refused() {
  const std::lock_guard lock(mutex_);
  ++now_.refused;
}

void Meter::Admitted(size_t words) {
  const std::lock_guard lock(mutex_);
  --now_.queued;
  now_.queued_tokens -= words;
  ++now_.running;
}

void Meter::Ended(Stage stage, std::optional<StopReason> reason) {
  const std::lock_guard lock(mutex_);
  --now_.running;
  End(stage, reason);
}

void Meter::EndedInQueue(size_t words, std::optional<StopReason> reason) {
  const std::lock_guard lock(mutex_);
  --now_.queued;
  now_.queued_tokens -= words;
  End(Stage::kQueue, reason);
}

void Meter::End(Stage stage, std::optional<StopReason> reason) {
  if (!reason.has_value()) {
    ++now_.failed;
    return;
  }
  ++now_.ended[static_cast<size_t>(*reason)];
  if (*reason != StopReason::kCancelled && *reason != StopReason::kDeadline) {
    return;
  }
  switch (stage) {
    case Stage::kQueue:
      ++now_.interrupted_in_queue;
      break;
    case Stage::kPrompt:
      ++now_.interrupted_in_prompt;
      break;
    case Stage::kAnswer:
      ++now_.interrupted_in_answer;
      break;
  }
}

void Meter::Passed(size_t rows, size_t prompt_rows, double seconds) {
  const std::lock_guard lock(mutex_);
  ++now_.passes;
  now_.rows += rows;
  now_.last_rows = rows;
  now_.pass_seconds += seconds;
  now_.computed_tokens += prompt_rows;
}

void Meter::Reused(size_t words) {
  const std::lock_guard lock(mutex_);
  now_.reused_tokens += words;
}

void Meter::Chose(size_t tokens) {
  const std::lock_guard lock(mutex_);
  now_.new_tokens += tokens;
}

void Meter::Holds(const Memory& memory) {
  const std::lock_guard lock(mutex_);
  now_.running_tokens = memory.running_tokens;
  now_.running_bytes = memory.running_bytes;
  now_.kept_sequences = memory.kept_sequences;
  now_.kept_tokens = memory.kept_tokens;
  now_.logits_bytes = memory.logits_bytes;
  pool_bytes_ = memory.pool_bytes;
}

void Meter::HoldsGrammars(size_t grammars, uint64_t bytes, bool found) {
  const std::lock_guard lock(mutex_);
  now_.grammars = grammars;
  now_.grammar_bytes = bytes;
  ++(found ? now_.grammar_hits : now_.grammar_misses);
}

}  // namespace gemma::internal
